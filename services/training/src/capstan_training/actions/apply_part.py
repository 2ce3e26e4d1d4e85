"""Training's part of a loop: the pipeline with its parameters, the label, the features, the code."""

from __future__ import annotations

from capstan_contracts.loop import ResolvedLoop
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.loops.store import PartStore
from capstan_servicekit.work.queue import WorkQueue
from capstan_training.actions.choose_pipeline import ChoosePipeline
from capstan_training.domain.part import TrainingPart, changes
from capstan_training.domain.pipelines import Pipeline
from capstan_training.domain.work import LoopToConsider
from capstan_training.tables import LoopRow


class TrainingParts(PartStore[TrainingPart, Pipeline]):
    """A changed part may start the first run: that is considered in the transaction that keeps it."""

    service = "training"
    stations = ("spec.training",)

    def __init__(self, choose: ChoosePipeline, work: WorkQueue, clock: Clock) -> None:
        self._choose, self._work, self._clock = choose, work, clock

    def part_of(self, resolved: ResolvedLoop) -> TrainingPart:
        """Cut training's part out of the whole."""
        return TrainingPart.of(resolved)

    async def prepare(self, project: str, part: TrainingPart) -> Pipeline:
        """The compiled pipeline that the part names. InvalidSpec; NotReady while it is being compiled."""
        return await self._choose(project, part)

    async def generation(self, session: ReadSession, project: str, loop: str) -> int | None:
        """The generation that runs are started with."""
        row = await session.get(LoopRow, (project, loop))
        return None if row is None else row.generation

    async def changes(self, session: ReadSession, project: str, loop: str, part: TrainingPart) -> list[str]:
        """What changes for the next run."""
        row = await session.get(LoopRow, (project, loop))
        return changes(None if row is None else TrainingPart.from_json(row.part), part)

    async def store(
        self, session: WriteSession, project: str, loop: str, generation: int, part: TrainingPart, prepared: Pipeline
    ) -> None:
        """Keep the part with its pipeline, and consider a first run."""
        row = await session.get(LoopRow, (project, loop))
        if row is None:
            row = LoopRow(project=project, loop=loop)
            session.add(row)
        row.part, row.pipeline = part.to_json(), prepared.to_json()
        row.generation, row.applied_at = generation, self._clock.now()
        applied = LoopToConsider(loop, part.dataset, version=None, occasion=f"applied:{generation}")
        await self._work.add(session, applied, project=project)

    async def keep_generation(self, session: WriteSession, project: str, loop: str, generation: int) -> None:
        """The same part under a newer number."""
        if (row := await session.get(LoopRow, (project, loop))) is not None:
            row.generation = max(row.generation, generation)
