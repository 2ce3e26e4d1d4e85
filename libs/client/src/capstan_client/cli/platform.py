"""up, down, status, open, token: the platform on this machine."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import webbrowser
from enum import StrEnum
from typing import Annotated

import typer

from capstan_client.cli.output import AsJson, Project, fail, rows, run, say, show
from capstan_client.cluster.kubectl import ClusterError, Target
from capstan_client.cluster.pods import pods
from capstan_client.platform.home import OWNER_ALONE, Home, Record
from capstan_client.platform.processes import descendants, end, pss_mb, same_process
from capstan_client.sdk.capstan import Capstan
from capstan_client.settings import current_environment, home_folder


class Page(StrEnum):
    """Pages that `open` knows."""

    mlflow = "mlflow"
    report = "report"
    docs = "docs"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (up, down, status, open_page, token):
        app.command("open" if command is open_page else None)(command)


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once everything is ready.")] = False,
    trust_recipes: Annotated[
        bool,
        typer.Option("--trust-recipes", help="Where the kernel has no Landlock: run recipes of several people. Kept."),
    ] = False,
) -> None:
    """Start broker and six services on this machine. Ctrl-C (or `capstan down`) stops them cleanly."""
    home = Home(home_folder())
    if (record := home.record()) is not None and record.cluster:
        fail(
            "A platform on Kubernetes is installed with Helm, not started: `make deploy`. `capstan connect` reaches it."
        )
    if trust_recipes:
        home.prepare()
        home.trust_file.touch(mode=0o600)
    command = [sys.executable, "-m", "capstan_client.platform", str(home.folder)]
    if not detach:
        sys.stdout.flush()
        os.execv(sys.executable, command)
    start_in_background(home, command)


def start_in_background(home: Home, command: list[str], *, quiet: bool = False) -> None:
    """Start the supervisor and wait until it is ready; fail with its own words."""
    home.prepare()
    log = home.path("logs", "platform.log")
    log.touch(mode=0o600)
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            env=current_environment(), umask=OWNER_ALONE,
        )  # fmt: skip
    while process.poll() is None:
        record = home.record()
        if record and record.supervisor == process.pid and record.state == "ready":
            if not quiet:
                say(log.read_text().rstrip())
            return
        time.sleep(0.05)
    fail(log.read_text().strip() or f"the platform ended with status {process.returncode}; see {log}")


def down() -> None:
    """Stop the platform of this machine; state stays."""
    home = Home(home_folder())
    record = home.record()
    if record is None or not same_process(record.supervisor, record.supervisor_started):
        nothing = "Not connected" if record is not None and record.cluster else "No platform runs"
        say(f"{nothing} in {home.folder}.")
        return
    end(record.supervisor, record.supervisor_started, grace_s=25)
    say("Disconnected; the cluster goes on." if record.cluster else "Stopped.")


def status(as_json: AsJson = False, project: Project = "default") -> None:
    """Parts with address, memory and readiness; and where each loop is."""
    home = Home(home_folder())
    record = home.record()
    if record is None or not same_process(record.supervisor, record.supervisor_started):
        fail(f"No platform runs in {home.folder}. Start it with `capstan up -d`.")
    if record.cluster:
        cluster_status(record, as_json)
        return
    summary = {"ready_s": record.ready_s, "pss_mb": memory(record), "services": record.services, "state": record.state}
    summary |= {"model_server": record.model_server, "home": str(home.folder)}

    def table() -> None:
        parts = [
            (name, str(pid), record.services.get(name) or record.broker, held(pid))
            for name, (pid, _) in record.processes.items()
        ]
        rows(f"Platform in {home.folder}", ("part", "pid", "address", "PSS MB"), parts)
        say(f"{record.state}; {summary['pss_mb']:.0f} MB in all; predictions at {record.model_server}")

    show(summary, as_json, table)


def cluster_status(record: Record, as_json: bool) -> None:
    """Pods of the connected release, and the addresses that lead to it."""
    place = record.cluster
    target = Target(place["context"], place["namespace"], place["release"])
    try:
        release_pods = asyncio.run(pods(target))
    except ClusterError as error:
        fail(str(error))
    urls = record.services | record.model_servers

    def table() -> None:
        columns = ("part", "pod", "ready", "phase", "restarts", "loop")
        rows(str(target), columns, [tuple(pod[name] for name in columns) for pod in release_pods])
        for name, url in urls.items():
            say(f"{name:<24} {url}")

    show({"cluster": place, "state": record.state, "urls": urls, "pods": release_pods}, as_json, table)


def memory(record: Record) -> float:
    """MB (PSS) of all processes of the platform."""
    return round(held(record.supervisor), 1)


def held(pid: int) -> float:
    """MB (PSS) of a process and all below it."""
    return sum(pss_mb(descendant) or 0.0 for descendant in descendants(pid))


def open_page(
    page: Annotated[Page, typer.Argument(help="mlflow, the newest drift report, or the API docs")],
    service: Annotated[str, typer.Option(help="whose docs")] = "registry",
    loop: Annotated[str, typer.Option(help="whose report")] = "",
    print_only: Annotated[bool, typer.Option("--print", help="Print the address instead of opening it.")] = False,
    project: Project = "default",
) -> None:
    """Open a page in the browser: a one-time address becomes a session cookie that may read."""

    async def link(capstan: Capstan) -> str:
        if page is Page.mlflow:
            return (await capstan.registry.session_link("/mlflow/#/models")).url
        if page is Page.docs:
            return (await capstan.service(service).session_link("/docs")).url
        return (await capstan.monitoring.session_link(await newest_report(capstan, loop))).url

    url = run(link, project)
    if print_only or not webbrowser.open(url):
        say(url)


async def newest_report(capstan: Capstan, loop: str) -> str:
    """Path of the newest drift report."""
    names = [loop] if loop else [applied.name for applied in await capstan.registry.loops()]
    for name in names:
        for window in reversed(await capstan.monitoring.windows(name)):
            if window.report:
                return window.report
    fail("No report has been made yet: reports are made when a window closes.")


def token() -> None:
    """Print this machine's token, for curl and other clients: `Authorization: Bearer $(capstan token)`."""
    home = Home(home_folder())
    if not home.token_file.exists():
        fail(f"No token in {home.folder}: `capstan up` makes it on its first start.")
    sys.stdout.write(home.token_file.read_text().strip() + "\n")
