"""Start a run: pin what is known now, once per cause, in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import select

from capstan_contracts.documents import Scalar
from capstan_contracts.ids import uuid7
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue
from capstan_training.domain.part import TrainingPart
from capstan_training.domain.run import RUN, STAGE
from capstan_training.domain.work import RunToCarryOut
from capstan_training.tables import LoopRow, RunRow

Reason = Literal["manual", "first", "drift", "dataset"]


@dataclass(frozen=True)
class Start:
    """What a run is started for. `cause` is unique per loop: the same cause again starts nothing."""

    cause: str
    reason: Reason
    requested_by: str
    dataset_version: str
    promote: bool = True
    parameters: dict[str, Scalar] = field(default_factory=dict)
    retrain_request: str | None = None
    id: str | None = None


class StartRun:
    """Writes the row of a run and enqueues its work."""

    def __init__(self, clock: Clock, work: WorkQueue) -> None:
        self._clock, self._work = clock, work

    async def __call__(self, session: WriteSession, loop: LoopRow, start: Start) -> RunRow | None:
        """The new run; None when its cause has one already."""
        same = select(RunRow.id).where(
            RunRow.project == loop.project, RunRow.loop == loop.loop, RunRow.cause == start.cause
        )
        if await session.scalar(same) is not None:
            return None
        part = TrainingPart.from_json(loop.part)
        row = RunRow(
            id=start.id or uuid7(self._clock.now()),
            project=loop.project,
            loop=loop.loop,
            cause=start.cause,
            reason=start.reason,
            requested_by=start.requested_by,
            retrain_request=start.retrain_request,
            promote=start.promote,
            state=RUN.first,
            stage=STAGE.first,
            problem=None,
            part=loop.part,
            pipeline=loop.pipeline,
            parameters={**part.training.parameters, **start.parameters},
            seed=part.training.seed,
            code=part.code,
            dataset=part.dataset,
            dataset_version=start.dataset_version,
            dataset_versions={part.dataset: start.dataset_version},
            view_versions={},
            metrics={},
            created_at=self._clock.now(),
        )
        session.add(row)
        await self._work.add(session, RunToCarryOut(row.id), project=loop.project)
        return row
