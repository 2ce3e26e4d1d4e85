"""Ingestion's part of a loop: its dataset and the further ones that its views read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from capstan_contracts.loop import DatasetSpec, ResolvedLoop
from capstan_ingestion.actions.register_dataset import RegisterDataset
from capstan_ingestion.tables import LoopRow
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.loops.rules import Rule
from capstan_servicekit.loops.store import PartStore


@dataclass(frozen=True)
class LoopDatasets:
    """The loop's own dataset, then the further ones; and the columns of its own that it learns from or is asked by."""

    datasets: list[DatasetSpec]
    reads: list[str]


class DatasetParts(PartStore[LoopDatasets, None]):
    """Registers the datasets of a loop. Several loops may share one: its specification is the last one applied."""

    service = "ingestion"
    stations = ("spec.dataset", "spec.sources")

    def __init__(self, clock: Clock, register: RegisterDataset) -> None:
        self._clock, self._register = clock, register

    def part_of(self, resolved: ResolvedLoop) -> LoopDatasets:
        """The loop's dataset first."""
        spec, service = resolved.loop.spec, resolved.definitions.service
        reads = {spec.training.label, service.label_time, *(column.name for column in service.request)}
        return LoopDatasets([spec.dataset, *spec.sources], sorted(reads))

    def rules(self, part: LoopDatasets, resolved: ResolvedLoop) -> Iterable[Rule]:
        """Refuse a contract that no batch could be held against. InvalidSpec, which says what a contract is."""
        for dataset in part.datasets:
            self._register.check(dataset)
        return ()

    async def prepare(self, project: str, part: LoopDatasets) -> None:
        """Nothing needs preparing."""

    async def generation(self, session: ReadSession, project: str, loop: str) -> int | None:
        """The generation that was registered last."""
        row = await session.get(LoopRow, (project, loop))
        return None if row is None else row.generation

    async def changes(self, session: ReadSession, project: str, loop: str, part: LoopDatasets) -> list[str]:
        """What changes in the datasets."""
        changes = [change for spec in part.datasets for change in await self._register.changes(session, project, spec)]
        row, dataset = await session.get(LoopRow, (project, loop)), part.datasets[0].name
        # Of a loop that an older release took nothing is known: the same part again must change nothing.
        if row is not None and row.reads is not None and (row.dataset, row.reads) != (dataset, part.reads):
            changes.append(f"loop {loop}: files of {dataset} need the columns {', '.join(part.reads)}")
        return changes

    async def store(
        self, session: WriteSession, project: str, loop: str, generation: int, part: LoopDatasets, prepared: None
    ) -> None:
        """Register or change every dataset."""
        for dataset in part.datasets:
            await self._register.store(session, project, dataset)
        row = await session.get(LoopRow, (project, loop))
        if row is None:
            row = LoopRow(project=project, name=loop)
            session.add(row)
        row.dataset, row.reads = part.datasets[0].name, part.reads
        row.generation, row.updated_at = generation, self._clock.now()

    async def keep_generation(self, session: WriteSession, project: str, loop: str, generation: int) -> None:
        """The same datasets under a newer number."""
        if (row := await session.get(LoopRow, (project, loop))) is not None:
            row.generation, row.updated_at = max(row.generation, generation), self._clock.now()
