"""apply, diff, loops: the declarative object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capstan_client.cli.output import AsJson, Project, console, rows, run, show
from capstan_client.sdk.capstan import Capstan
from capstan_client.sdk.recipe import resolve
from capstan_contracts.rest.registry import LoopStatus

LoopFile = Annotated[Path, typer.Option("--file", "-f", help="the loop.yaml of a recipe folder", dir_okay=False)]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(apply)
    app.command()(diff)
    app.command()(loops)


async def hand_in(capstan: Capstan, file: Path, *, dry_run: bool = False) -> LoopStatus:
    """Resolve a recipe, send its code, and apply (or dry-run) the loop."""
    resolved, archive = resolve(file, project=capstan.project)
    await capstan.training.upload_code(resolved.code, archive)
    return await capstan.registry.apply(resolved, dry_run=dry_run)


def apply(file: LoopFile, as_json: AsJson = False, project: Project = "default") -> None:
    """Validate the loop as a whole and hand each service its part. Applying twice changes nothing."""
    _report(run(lambda capstan: hand_in(capstan, file), project), as_json, "applied")


def diff(file: LoopFile, as_json: AsJson = False, project: Project = "default") -> None:
    """Say what `apply` would change, and change nothing."""
    _report(run(lambda capstan: hand_in(capstan, file, dry_run=True), project), as_json, "would change")


def loops(as_json: AsJson = False, project: Project = "default") -> None:
    """List loops."""
    found = run(lambda capstan: capstan.registry.loops(), project)
    show(
        found,
        as_json,
        lambda: rows("Loops", ("loop", "generation", "applied"), [(s.name, s.generation, s.applied) for s in found]),
    )


def _report(status: LoopStatus, as_json: bool, verb: str) -> None:
    def table() -> None:
        changes = [(part.service, change) for part in status.parts for change in part.changes]
        if not changes:
            console.print(f"{status.name}: nothing changes (generation {status.generation}).")
            return
        rows(f"{status.name}: {verb}, generation {status.generation}", ("service", "change"), changes)

    show(status, as_json, table)
