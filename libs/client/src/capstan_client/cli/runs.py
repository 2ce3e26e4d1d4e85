"""runs: start, list, follow, cancel."""

from __future__ import annotations

from typing import Annotated

import typer

from capstan_client.cli.ids import whole_id
from capstan_client.cli.output import AsJson, Project, fail, rows, run, say, show, waiting
from capstan_client.sdk.capstan import Capstan
from capstan_contracts.ids import short
from capstan_contracts.rest.training import Run, RunRequest

app = typer.Typer(help="Training runs.", no_args_is_help=True)


@app.command("list")
def runs(as_json: AsJson = False, project: Project = "default") -> None:
    """Runs, newest first."""
    history = run(lambda capstan: capstan.training.runs(), project)
    lines = [
        (r.id, r.loop, r.reason, r.state.value, r.stage, short(r.dataset_version), r.created_at, _cause(r))
        for r in history
    ]
    columns = ("run", "loop", "why", "state", "stage", "dataset", "made", "cause")
    show(history, as_json, lambda: rows("Runs", columns, lines))


@app.command()
def start(
    loop: str,
    parameter: Annotated[
        list[str] | None, typer.Option("-P", "--parameter", "-p", help="name=value; may be given several times")
    ] = None,
    wait: Annotated[bool, typer.Option(help="wait for the end")] = True,
    as_json: AsJson = False,
    project: Annotated[str, typer.Option("--project", envvar="CAPSTAN_PROJECT")] = "default",
) -> None:
    """Start a run by hand: `capstan runs start flight-delay -p num_rounds=50`."""
    request = RunRequest(loop=loop, parameters=dict(_parameter(text) for text in parameter or ()))

    async def go(capstan: Capstan) -> Run:
        started = await capstan.training.start(request)
        if not wait:
            return started
        with waiting(f"run {started.id}"):
            return await capstan.training.wait_for_run(started.id)

    ended = run(go, project)
    show(ended, as_json, lambda: say(f"run {ended.id}: {ended.state.value} {ended.metrics or ''}".rstrip()))
    if wait and ended.state.value != "succeeded":
        fail(_cause(ended) or f"the run ended {ended.state.value}")


@app.command()
def logs(
    run_id: Annotated[str, typer.Argument(metavar="RUN")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="until the run ends")] = False,
    project: Project = "default",
) -> None:
    """Print the log of a run."""

    async def go(capstan: Capstan) -> None:
        async for line in capstan.training.logs(await _whole(capstan, run_id), follow=follow):
            say(line)

    run(go, project)


@app.command()
def cancel(run_id: Annotated[str, typer.Argument(metavar="RUN")], project: Project = "default") -> None:
    """Stop a run."""

    async def go(capstan: Capstan) -> Run:
        return await capstan.training.cancel(await _whole(capstan, run_id))

    cancelled = run(go, project)
    say(f"run {cancelled.id}: {cancelled.state.value}")


async def _whole(capstan: Capstan, given: str) -> str:
    return await whole_id("run", given, (run_.id async for run_ in capstan.training.every_run()))


def _cause(ended: Run) -> str | None:
    """Why a run did not succeed."""
    return ended.problem.detail or ended.problem.title if ended.problem else None


def _parameter(given: str) -> tuple[str, str | int | float | bool]:
    name, equals, value = given.partition("=")
    if not equals or not name:
        fail(f"-p {given}: write name=value")
    if value in ("true", "false"):
        return name, value == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value
