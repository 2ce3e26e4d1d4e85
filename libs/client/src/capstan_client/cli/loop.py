"""check, apply, diff, loops: the declarative object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capstan_client.cli.output import AsJson, Project, error_text, fail, rows, run, say, show
from capstan_client.sdk.capstan import Capstan
from capstan_client.sdk.recipe import resolve
from capstan_contracts.rest.registry import LoopStatus
from capstan_servicekit.errors import CapstanError

LoopFile = Annotated[Path, typer.Option("--file", "-f", help="the loop.yaml of a recipe folder", dir_okay=False)]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(check)
    app.command()(apply)
    app.command()(diff)
    app.command()(loops)


async def hand_in(capstan: Capstan, file: Path, *, dry_run: bool = False) -> LoopStatus:
    """Resolve a recipe, send its code, and apply (or dry-run) the loop."""
    resolved, archive = resolve(file, project=capstan.project)
    await capstan.training.upload_code(resolved.code, archive)
    return await capstan.registry.apply(resolved, dry_run=dry_run)


def check(file: LoopFile, as_json: AsJson = False, project: Project = "default") -> None:
    """Read a recipe as `apply` would, and say everything that is wrong with it. Needs no platform."""
    try:
        resolved, archive = resolve(file, project=project)
    except CapstanError as error:
        if as_json:
            show(error.errors, as_json, lambda: None)
            raise typer.Exit(1) from None
        fail(error_text(error))
    spec, views = resolved.loop.spec, resolved.definitions.views
    name, datasets = resolved.loop.metadata.name, 1 + len(spec.sources)
    sentence = (
        f"{name}: nothing is wrong with {datasets} dataset(s), {len(views)} view(s) and {len(spec.gates)} gate(s); "
        f"the code has {len(archive) / 1000:.0f} kB packed"
    )
    show([], as_json, lambda: say(sentence))


def apply(file: LoopFile, as_json: AsJson = False, project: Project = "default") -> None:
    """Validate the loop as a whole and hand each service its part. Applying twice changes nothing."""
    _report(run(lambda capstan: hand_in(capstan, file), project), as_json, "applied")


def diff(file: LoopFile, as_json: AsJson = False, project: Project = "default") -> None:
    """Say what `apply` would change, and change nothing."""
    _report(run(lambda capstan: hand_in(capstan, file, dry_run=True), project), as_json, "would change")


def loops(as_json: AsJson = False, project: Project = "default") -> None:
    """List loops."""
    applied = run(lambda capstan: capstan.registry.loops(), project)
    show(
        applied,
        as_json,
        lambda: rows("Loops", ("loop", "generation", "applied"), [(s.name, s.generation, s.applied) for s in applied]),
    )


def _report(status: LoopStatus, as_json: bool, verb: str) -> None:
    def table() -> None:
        changes = [(part.service, change) for part in status.parts for change in part.changes]
        if not changes:
            say(f"{status.name}: nothing changes (generation {status.generation}).")
            return
        rows(f"{status.name}: {verb}, generation {status.generation}", ("service", "change"), changes)

    show(status, as_json, table)
