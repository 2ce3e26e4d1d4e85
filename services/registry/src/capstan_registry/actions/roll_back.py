"""A person goes back to a version that was champion before: a decision of its own kind, without gates."""

from __future__ import annotations

from capstan_contracts.events import GateFigure
from capstan_contracts.first_champion import HINT
from capstan_contracts.rest.registry import Rollback, RollbackRequest
from capstan_registry.actions.append_to_ledger import AppendToLedger
from capstan_registry.actions.approval import PERSON
from capstan_registry.actions.crown_champion import CrownChampion
from capstan_registry.domain.champions import Crowning, ever, standing
from capstan_registry.domain.ledger import ROLLED_BACK
from capstan_registry.tables import ChampionRow, crownings, version_row
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.idempotency import fingerprint, recall, remember
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Conflict, Forbidden, NotFound
from capstan_servicekit.security.auth import Principal

ROLLBACK = "rollback"
"""The `kind` of the figure that says who went back, and why."""


class RollBack:
    """One transaction: ledger row, champion, event. Promotions that are being judged are then judged anew."""

    def __init__(self, database: Database, clock: Clock, ledger: AppendToLedger, crown: CrownChampion) -> None:
        self._database, self._clock, self._ledger, self._crown = database, clock, ledger, crown

    async def __call__(
        self, project: str, model: str, request: RollbackRequest, *, by: Principal, key: str | None
    ) -> Rollback:
        """To the version that is named, else to the newest champion that nobody went back from.

        Forbidden for services; NotFound without a champion, or when there is no such version; Conflict for the champion
        itself, where the champion is not the one that was seen, and for a version that never was champion: that one has
        to ask for a promotion.
        """
        _check_person(by)
        request_print = fingerprint("rollback", model, request.model_dump_json(), by.id)
        async with self._database.write() as session:
            if (answer := await recall(session, project, key, request_print)) is not None:
                return Rollback.model_validate(answer)
            champion = await session.get(ChampionRow, (project, model))
            if champion is None:
                raise NotFound(f"model {model!r} has no champion in project {project!r}", hint=HINT)
            _check_seen(model, champion.version, request.from_version)
            target = _target(model, champion.version, request.version, await crownings(session, project, model))
            version = await version_row(session, project, model, target)
            figure = GateFigure(
                gate=ROLLBACK,
                kind=ROLLBACK,
                passed=None,
                figures={"by": by.id, "reason": request.reason},
                sentence=f"{by.id!r} went back from version {champion.version} to version {target}: {request.reason}",
            )
            previous = champion.version
            row = await self._ledger(session, version, ROLLED_BACK, by=by.id, previous=previous, figures=[figure])
            await self._crown(session, version, row)
            made = Rollback(
                model=model,
                from_version=previous,
                to_version=target,
                by=by.id,
                reason=request.reason,
                ledger_sequence=row.sequence,
                at=row.at,
            )
            remember(session, project, key, request_print, made.model_dump(mode="json"), self._clock.now())
        return made


def _check_person(by: Principal) -> None:
    if by.kind != PERSON:
        raise Forbidden(
            f"{by.id!r} is of kind {by.kind}, and going back to a former champion is a person's decision",
            hint="Let somebody with the role operator do it with a token of their own.",
        )


def _check_seen(model: str, champion: int, seen: int | None) -> None:
    """Of two people who react to the same incident the second one would go back a step too far."""
    if seen is not None and seen != champion:
        raise Conflict(
            f"Version {seen} of {model!r} is not the champion any more, version {champion} is",
            hint=f"Look at who went back, and why, in `capstan ledger list {model}`; then ask again if need be.",
        )


def _target(model: str, champion: int, wanted: int | None, before: list[Crowning]) -> int:
    if wanted == champion:
        raise Conflict(f"Version {champion} of {model!r} is the champion already")
    former = [version for version in ever(before) if version != champion]
    if not former:
        raise Conflict(
            f"No version of {model!r} was champion before version {champion}",
            hint=f"Ask for the promotion of another one: `capstan models promote {model} VERSION`.",
        )
    listed = ", ".join(map(str, former))
    if wanted is None:
        left = [version for version in standing(before) if version != champion]
        if not left:
            raise Conflict(
                f"Somebody went back from every former champion of {model!r}; which one is wanted has to be said",
                hint=f"Name one of {listed}: `capstan models rollback {model} VERSION`.",
            )
        return left[0]
    if wanted not in former:
        raise Conflict(
            f"Version {wanted} of {model!r} was never champion; former champions: {listed}",
            hint=f"Its gates have to judge it first: `capstan models promote {model} {wanted}`.",
        )
    return wanted
