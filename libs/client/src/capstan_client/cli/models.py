"""models and ledger: versions, gates, champion, promotion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from capstan_client.cli.ids import whole_id
from capstan_client.cli.output import AsJson, Project, fail, rows, run, say, show
from capstan_client.sdk.capstan import Capstan
from capstan_client.sdk.transport import poll
from capstan_contracts.ids import short
from capstan_contracts.rest.registry import LedgerEntry, Promotion, Rollback
from capstan_contracts.work import State

app = typer.Typer(help="Model versions, gates, champion.", no_args_is_help=True)
ledger = typer.Typer(help="The ledger of decisions.", no_args_is_help=True)


@app.command()
def versions(model: str, as_json: AsJson = False, project: Project = "default") -> None:
    """Versions of a model, newest first."""
    history = run(lambda capstan: capstan.registry.versions(model), project)
    lines = [(v.version, short(v.package), ", ".join(v.aliases), v.run, v.created_at) for v in history]
    show(history, as_json, lambda: rows(model, ("version", "package", "aliases", "run", "made"), lines))


@app.command()
def promote(model: str, version: int, as_json: AsJson = False, project: Project = "default") -> None:
    """Ask for promotion. The gates decide, or wait for a person; exit status 2 when they refuse."""

    async def go(capstan: Capstan) -> Promotion:
        asked = await capstan.registry.promote(model, version)
        return await _judged(capstan, asked.id)

    _show(run(go, project), as_json)


@app.command()
def promotions(
    model: Annotated[str | None, typer.Argument()] = None, as_json: AsJson = False, project: Project = "default"
) -> None:
    """Promotions, newest first, and whom a waiting one waits for."""
    history = run(lambda capstan: capstan.registry.promotions(model), project)
    lines = [(p.id, p.model, p.version, _outcome(p), p.requested_by, p.created_at, p.progress.message) for p in history]
    names = ("promotion", "model", "version", "state", "asked for by", "at", "what")
    show(history, as_json, lambda: rows("Promotions", names, lines))


Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it goes into the ledger.")]


@app.command()
def approve(promotion: str, reason: Reason, as_json: AsJson = False, project: Project = "default") -> None:
    """Approve a promotion that waits for a person; not for whoever asked for it."""
    _answer(promotion, approve=True, reason=reason, as_json=as_json, project=project)


@app.command()
def reject(promotion: str, reason: Reason, as_json: AsJson = False, project: Project = "default") -> None:
    """Reject a promotion that waits for a person. Exit status 2, as for every refusal."""
    _answer(promotion, approve=False, reason=reason, as_json=as_json, project=project)


def _answer(promotion: str, *, approve: bool, reason: str, as_json: bool, project: str) -> None:
    async def go(capstan: Capstan) -> Promotion:
        whole = await whole_id("promotion", promotion, _ids(capstan))
        await capstan.registry.answer(whole, approve=approve, reason=reason)
        return await _judged(capstan, whole)

    _show(run(go, project), as_json)


@app.command()
def rollback(
    model: str,
    reason: Reason,
    version: Annotated[int | None, typer.Argument(help="A former champion; by default the one before this.")] = None,
    seen: Annotated[
        int | None, typer.Option("--from", min=1, help="The champion to leave; refused if it is not any more.")
    ] = None,
    as_json: AsJson = False,
    project: Project = "default",
) -> None:
    """Go back to a version that was champion before, at once and without gates. The ledger says who and why."""

    async def go(capstan: Capstan) -> Rollback:
        left = seen if seen is not None else (await capstan.registry.champion(model)).version
        return await capstan.registry.rollback(model, reason=reason, version=version, from_version=left)

    done = run(go, project)
    sentence = (
        f"{done.model}: version {done.to_version} is champion again, in place of version {done.from_version} "
        f"(ledger entry {done.ledger_sequence})"
    )
    show(done, as_json, lambda: say(sentence))


async def _ids(capstan: Capstan) -> AsyncIterator[str]:
    for promotion in await capstan.registry.promotions():
        yield promotion.id


async def _judged(capstan: Capstan, promotion: str) -> Promotion:
    """The promotion once it is decided, or waits for a person."""
    return await poll(
        lambda: capstan.registry.promotion(promotion),
        lambda latest: latest.state.finished or latest.state is State.WAITING,
        timeout_s=180,
    )


def _outcome(promotion: Promotion) -> str:
    return {None: promotion.state.value, True: "approved", False: "refused"}[promotion.approved]


def _show(promotion: Promotion, as_json: bool) -> None:
    outcome = _outcome(promotion)
    lines = [(g.gate, g.passed, g.observed, g.bound, g.sentence) for g in promotion.gates]

    def table() -> None:
        title = f"{promotion.model} {promotion.version}: {outcome}"
        rows(title, ("gate", "passed", "observed", "bound", "what"), lines, empty=title)
        if promotion.state is State.WAITING:
            say(f"Promotion {promotion.id} waits: {promotion.progress.message}")

    show(promotion, as_json, table)
    if promotion.problem is not None:
        fail(promotion.problem.detail or promotion.problem.title)
    if promotion.approved is False:
        raise typer.Exit(2)


@app.command()
def champion(
    model: str,
    at: Annotated[datetime | None, typer.Option(help="which version was production then (UTC)")] = None,
    as_json: AsJson = False,
    project: Project = "default",
) -> None:
    """Which version is production, or was at a time, and by which decision."""
    moment = at.replace(tzinfo=UTC) if at else None
    production = run(lambda capstan: capstan.registry.champion(model, moment), project)
    sentence = (
        f"{production.model}: version {production.version} (package {short(production.package)}) "
        f"since {production.since:%Y-%m-%d %H:%M:%S}, "
        f"ledger entry {production.ledger_sequence}"
    )
    unlooked = [f"\n{gate['sentence']}" for gate in production.gates if gate.get("kind") == "quality"]
    show(production, as_json, lambda: say(sentence + "".join(unlooked)))


@ledger.command("list")
def entries(
    model: Annotated[str | None, typer.Argument()] = None, as_json: AsJson = False, project: Project = "default"
) -> None:
    """Decisions, newest first."""
    decisions = run(lambda capstan: capstan.registry.ledger(model), project)
    lines = [(e.sequence, e.model, e.version, e.decision, e.by, e.at, short(e.hash), _not_passed(e)) for e in decisions]
    columns = ("#", "model", "version", "decision", "by", "at", "hash", "gates not passed")
    show(decisions, as_json, lambda: rows("Ledger", columns, lines))


def _not_passed(entry: LedgerEntry) -> str | None:
    """The sentences of the gates that refused, or could not judge."""
    return "; ".join(str(gate.get("sentence", "")) for gate in entry.gates if gate.get("passed") is not True) or None


@ledger.command()
def verify(as_json: AsJson = False, project: Project = "default") -> None:
    """Recompute the hash chain. Exit status 1 when an entry was changed."""
    verification = run(lambda capstan: capstan.registry.verify_ledger(), project)
    show(verification, as_json, lambda: say(f"{verification.entries} entries, intact: {verification.intact}"))
    if not verification.intact:
        fail(f"the ledger is broken at entry {verification.broken_at}")
