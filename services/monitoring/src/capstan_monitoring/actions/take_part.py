"""Take monitoring's part of a loop, or say what taking it would change."""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy import select

from capstan_contracts.errors import FieldError
from capstan_contracts.loop import LoopPart
from capstan_contracts.rest.common import PartStatus
from capstan_monitoring.actions.check_statistics import not_installed
from capstan_monitoring.domain.part import MonitorPart, broken_rules, changes
from capstan_monitoring.tables import MonitorRow, PackageRow
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.errors import Conflict, InvalidSpec, NotBuiltYet, broken
from capstan_servicekit.runtime import Kit


class TakePart:
    """`PUT /loops/{loop}`: the same content again changes nothing."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    async def __call__(self, project: str, loop: str, body: LoopPart, *, dry_run: bool) -> PartStatus:
        """Validate whole; with `dry_run` say what would change, else store."""
        _check(project, loop, body)
        part = MonitorPart.of(body)
        if rules := [*broken_rules(part), *not_installed(part.monitoring.drift)]:
            raise InvalidSpec(
                f"{rules[0][0]} must be {rules[0][1]}",
                errors=[FieldError(place=place, rule=rule) for place, rule in rules],
            )
        if dry_run:
            async with self._kit.database.read() as reading:
                found = await _changes(reading, project, loop, part, body.generation)
        else:
            async with self._kit.database.write() as session:
                found = await _changes(session, project, loop, part, body.generation)
                await _store(session, project, loop, part, body.generation)
        return PartStatus(service="monitoring", loop=loop, generation=body.generation, changes=found)


async def _changes(session: ReadSession, project: str, loop: str, part: MonitorPart, generation: int) -> list[str]:
    row = await session.get(MonitorRow, (project, loop))
    found = changes(_stored(row) if row is not None else None, part)
    if found and row is not None and generation < row.generation:
        raise Conflict(
            f"Generation {generation} of {loop} is older than {row.generation}, which monitoring has",
            hint="Apply the loop again: the registry hands out its newest generation.",
        )
    return found


def _stored(row: MonitorRow) -> MonitorPart | None:
    """None when it cannot be read any more: a statistic of a distribution that is gone. It is replaced as if new."""
    try:
        return MonitorPart.from_json(row.part)
    except ValidationError:
        return None


async def _store(session: WriteSession, project: str, loop: str, part: MonitorPart, generation: int) -> None:
    row = await session.get(MonitorRow, (project, loop))
    if row is None:
        champion = await session.scalar(
            select(PackageRow)
            .where(PackageRow.project == project, PackageRow.loop == loop, PackageRow.version.is_not(None))
            .order_by(PackageRow.ledger.desc())
            .limit(1)
        )
        row = MonitorRow(project=project, loop=loop, generation=generation, ledger=0, alarm=False)
        if champion is not None:
            row.model_version, row.ledger = champion.version, champion.ledger
        session.add(row)
    row.part = part.to_json()
    row.generation = max(row.generation, generation)


def _check(project: str, loop: str, body: LoopPart) -> None:
    whole = body.resolved.loop
    if (whole.metadata.project, whole.metadata.name) != (project, loop):
        raise InvalidSpec(
            f"The loop calls itself {whole.metadata.project}/{whole.metadata.name}, the address {project}/{loop}",
            errors=broken("metadata", f"name {loop!r}, project {project!r}"),
        )
    unbuilt = [(place, rule) for place, rule in whole.not_built_yet() if place.startswith("spec.monitoring")]
    if unbuilt:
        raise NotBuiltYet(unbuilt[0][1], errors=[FieldError(place=place, rule=rule) for place, rule in unbuilt])
