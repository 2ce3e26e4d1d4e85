"""Monitoring's part of a loop: the policy of its monitor, and how labels are found."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError
from sqlalchemy import select

from capstan_contracts.loop import ResolvedLoop
from capstan_monitoring.actions.check_statistics import not_installed
from capstan_monitoring.domain.part import MonitorPart, broken_rules, changes
from capstan_monitoring.tables import MonitorRow, PackageRow
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.loops.rules import Rule
from capstan_servicekit.loops.store import PartStore


class MonitorParts(PartStore[MonitorPart, None]):
    """One monitor per loop; a new one watches the newest champion that was promoted before."""

    service = "monitoring"
    stations = ("spec.monitoring",)

    def part_of(self, resolved: ResolvedLoop) -> MonitorPart:
        """Cut monitoring's part out of the whole."""
        return MonitorPart.of(resolved)

    def rules(self, part: MonitorPart, resolved: ResolvedLoop) -> Iterable[Rule]:
        """Windows within bounds, statistics that are installed."""
        return [*broken_rules(part), *not_installed(part.monitoring.drift)]

    async def prepare(self, project: str, part: MonitorPart) -> None:
        """Nothing needs preparing."""

    async def generation(self, session: ReadSession, project: str, loop: str) -> int | None:
        """The generation of the monitor."""
        row = await session.get(MonitorRow, (project, loop))
        return None if row is None else row.generation

    async def changes(self, session: ReadSession, project: str, loop: str, part: MonitorPart) -> list[str]:
        """What changes in the monitor's policy."""
        row = await session.get(MonitorRow, (project, loop))
        return changes(None if row is None else _stored(row), part)

    async def store(
        self, session: WriteSession, project: str, loop: str, generation: int, part: MonitorPart, prepared: None
    ) -> None:
        """Keep the part."""
        row = await session.get(MonitorRow, (project, loop))
        if row is None:
            row = MonitorRow(project=project, loop=loop, ledger=0, alarm=False)
            if (champion := await _newest_champion(session, project, loop)) is not None:
                row.model_version, row.ledger = champion.version, champion.ledger
            session.add(row)
        row.part, row.generation = part.to_json(), generation

    async def keep_generation(self, session: WriteSession, project: str, loop: str, generation: int) -> None:
        """The same policy under a newer number."""
        if (row := await session.get(MonitorRow, (project, loop))) is not None:
            row.generation = max(row.generation, generation)


def _stored(row: MonitorRow) -> MonitorPart | None:
    """None when it cannot be read any more: a statistic of a distribution that is gone. It is replaced as if new."""
    try:
        return MonitorPart.from_json(row.part)
    except ValidationError:
        return None


async def _newest_champion(session: ReadSession, project: str, loop: str) -> PackageRow | None:
    packages = select(PackageRow).where(PackageRow.project == project, PackageRow.loop == loop)
    promoted = packages.where(PackageRow.version.is_not(None)).order_by(PackageRow.ledger.desc())
    champion: PackageRow | None = await session.scalar(promoted.limit(1))
    return champion
