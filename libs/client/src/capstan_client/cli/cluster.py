"""The same commands against a platform on Kubernetes: `capstan connect`, or `capstan --context NAME ...`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from capstan_client.cli.output import errors, fail
from capstan_client.cli.platform import start_in_background
from capstan_client.cluster.connector import Via
from capstan_client.cluster.kubectl import ClusterError, Target, connection_folder, current_context
from capstan_client.platform.home import Home
from capstan_client.platform.processes import same_process
from capstan_client.settings import own_home, use_connection

Context = Annotated[
    str, typer.Option("--context", envvar="CAPSTAN_CONTEXT", help="A platform on Kubernetes: kubectl's context.")
]
Namespace = Annotated[str, typer.Option("--namespace", "-n", envvar="CAPSTAN_NAMESPACE", help="Its namespace.")]
Release = Annotated[str, typer.Option("--release", envvar="CAPSTAN_RELEASE", help="Its Helm release.")]
Way = Annotated[
    Via, typer.Option(help="forward: kubectl port-forward; service: addresses of Services are routed to this machine")
]
WITHOUT = {"connect", "down", "up", None}


def choose(
    ctx: typer.Context, context: Context = "", namespace: Namespace = "capstan", release: Release = "capstan"
) -> None:
    """The closed machine-learning loop: data, contract, features, training, gates, serving, drift, retrain."""
    if not context:
        return
    target = Target(context, namespace, release)
    folder = connection_folder(own_home(), target)
    use_connection(folder)
    ctx.obj = target
    home = Home(folder)
    if ctx.invoked_subcommand not in WITHOUT and not connected(home):
        errors.print(f"connecting to {target}", style="dim", highlight=False)
        start_in_background(home, command(folder, target, Via.FORWARD), quiet=True)


def connect(
    ctx: typer.Context,
    context: Annotated[str, typer.Option(help="kubectl's context; the current one when none is given.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Its namespace.")] = "",
    release: Annotated[str, typer.Option(help="Its Helm release.")] = "",
    via: Way = Via.FORWARD,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once connected.")] = False,
) -> None:
    """Reach a platform on Kubernetes from this machine.

    Ports of this machine lead to its Services for as long as this runs, and every command with the same `--context`
    uses them. The token is read from the release's Secret; CAPSTAN_TOKEN gives another one.
    """
    given: Target = ctx.obj or Target("")
    try:
        chosen = context or given.context or asyncio.run(current_context())
    except ClusterError as error:
        fail(f"{error}\nName a context: capstan connect --context NAME")
    target = Target(chosen, namespace or given.namespace, release or given.release)
    folder = connection_folder(own_home(), target)
    home = Home(folder)
    if connected(home):
        fail(f"Connected to {target} already. End it with: capstan --context {chosen} down")
    if detach:
        start_in_background(home, command(folder, target, via))
        return
    home.prepare()
    sys.stdout.flush()
    os.execv(sys.executable, command(folder, target, via))


def command(folder: Path, target: Target, via: Via) -> list[str]:
    """The process that keeps a connection open."""
    arguments = [str(folder), target.context, target.namespace, target.release, via.value]
    return [sys.executable, "-m", "capstan_client.cluster", *arguments]


def connected(home: Home) -> bool:
    """Whether a connection is open."""
    record = home.record()
    return record is not None and record.state != "stopped" and same_process(
        record.supervisor, record.supervisor_started
    )  # fmt: skip
