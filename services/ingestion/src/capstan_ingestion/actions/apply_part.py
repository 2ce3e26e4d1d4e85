"""Ingestion's part of a loop: its dataset and the further ones that its views read."""

from __future__ import annotations

from collections.abc import Iterable

from capstan_contracts.loop import DatasetSpec, ResolvedLoop
from capstan_ingestion.actions.register_dataset import RegisterDataset
from capstan_ingestion.tables import LoopRow
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.loops.rules import Rule
from capstan_servicekit.loops.store import PartStore


class DatasetParts(PartStore[list[DatasetSpec], None]):
    """Registers the datasets of a loop. Several loops may share one: its specification is the last one applied."""

    service = "ingestion"
    stations = ("spec.dataset", "spec.sources")

    def __init__(self, clock: Clock, register: RegisterDataset) -> None:
        self._clock, self._register = clock, register

    def part_of(self, resolved: ResolvedLoop) -> list[DatasetSpec]:
        """The loop's dataset first."""
        return [resolved.loop.spec.dataset, *resolved.loop.spec.sources]

    def rules(self, part: list[DatasetSpec], resolved: ResolvedLoop) -> Iterable[Rule]:
        """Refuse a contract that no batch could be held against. InvalidSpec, which says what a contract is."""
        for dataset in part:
            self._register.check(dataset)
        return ()

    async def prepare(self, project: str, part: list[DatasetSpec]) -> None:
        """Nothing needs preparing."""

    async def generation(self, session: ReadSession, project: str, loop: str) -> int | None:
        """The generation that was registered last."""
        row = await session.get(LoopRow, (project, loop))
        return None if row is None else row.generation

    async def changes(self, session: ReadSession, project: str, loop: str, part: list[DatasetSpec]) -> list[str]:
        """What changes in the datasets."""
        return [change for dataset in part for change in await self._register.changes(session, project, dataset)]

    async def store(
        self, session: WriteSession, project: str, loop: str, generation: int, part: list[DatasetSpec], prepared: None
    ) -> None:
        """Register or change every dataset."""
        for dataset in part:
            await self._register(session, project, dataset)
        row = await session.get(LoopRow, (project, loop))
        if row is None:
            row = LoopRow(project=project, name=loop)
            session.add(row)
        row.generation, row.updated_at = generation, self._clock.now()

    async def keep_generation(self, session: WriteSession, project: str, loop: str, generation: int) -> None:
        """The same datasets under a newer number."""
        if (row := await session.get(LoopRow, (project, loop))) is not None:
            row.generation, row.updated_at = max(row.generation, generation), self._clock.now()
