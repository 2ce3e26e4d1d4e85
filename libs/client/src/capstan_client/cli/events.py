"""events: dead letters and reconciliation."""

from __future__ import annotations

from typing import Annotated

import typer

from capstan_client.cli.ids import whole_id
from capstan_client.cli.output import AsJson, Project, fail, rows, run, say, show
from capstan_client.sdk.capstan import Capstan
from capstan_contracts.ids import SERVICES
from capstan_contracts.rest.common import DeadLetter, Page

app = typer.Typer(help="Dead letters, replay, reconciliation.", no_args_is_help=True)


@app.command("dead-letters")
def dead_letters(as_json: AsJson = False, project: Project = "default") -> None:
    """Events that a service could not take, with the reason."""

    async def go(capstan: Capstan) -> list[DeadLetter]:
        return [letter for name in SERVICES for letter in await capstan.service(name).dead_letters()]

    letters = run(go, project)
    lines = [(d.consumer, d.id, d.event_type, d.failed_at, d.replayed, d.reason) for d in letters]
    names = ("consumer", "letter", "event", "at", "replayed", "reason")
    show(letters, as_json, lambda: rows("Dead letters", names, lines, empty="No dead letters."))


@app.command()
def replay(service: str, letter: str, project: Project = "default") -> None:
    """Hand a dead letter to its handler again."""
    _check_service(service)

    async def go(capstan: Capstan) -> DeadLetter:
        client = capstan.service(service)
        letters = client.every("/dead-letters", Page[DeadLetter])
        return await client.replay_dead_letter(
            await whole_id("dead letter", letter, (entry.id async for entry in letters))
        )

    say(f"{run(go, project).event_type} was taken by {service}.")


@app.command()
def reconcile(
    hours: Annotated[float, typer.Option(help="how far back")] = 24,
    service: Annotated[str, typer.Option(help="one service only")] = "",
    project: Project = "default",
) -> None:
    """Publish again what a lost stream forgot; known events have no second effect."""
    if service:
        _check_service(service)

    async def go(capstan: Capstan) -> dict[str, int]:
        return {name: await capstan.service(name).reconcile(hours) for name in ([service] if service else SERVICES)}

    rows("Published again", ("service", "events"), list(run(go, project).items()))


def _check_service(service: str) -> None:
    if service not in SERVICES:
        fail(f"{service!r} is not a service; there are: {', '.join(SERVICES)}")
