"""The event door: write rows and enqueue work, nothing else."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.events import DatasetCommitted, Envelope, RetrainRequested
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.errors import InvalidSpec, NotFound, broken
from capstan_servicekit.inbox import Subscriptions
from capstan_servicekit.runtime import Kit
from capstan_servicekit.telemetry import logger
from capstan_training.actions.consider_start import CONSIDER
from capstan_training.actions.start_run import Start, StartRun
from capstan_training.domain.part import TrainingPart
from capstan_training.tables import LoopRow

log = logger(__name__)


def subscriptions(kit: Kit, start: StartRun) -> Subscriptions:
    """What training listens to."""

    async def retrain(session: WriteSession, envelope: Envelope, event: RetrainRequested) -> None:
        loop = await session.get(LoopRow, (envelope.project, event.loop))
        if loop is None:
            raise NotFound(f"retraining was asked for the unknown loop {event.loop} of project {envelope.project}")
        part = TrainingPart.from_json(loop.part)
        if event.dataset != part.dataset:
            raise InvalidSpec(
                f"retraining of {event.loop} was asked on {event.dataset}; its labels are in {part.dataset}",
                errors=broken("dataset", part.dataset),
            )
        if "drift" not in part.training.on:
            log.info("training.retrain_not_wanted", loop=event.loop, request=event.request)
            return
        asked = Start(
            cause=f"drift:{event.request}",
            reason="drift",
            requested_by=envelope.source,
            dataset_version=event.dataset_version,
            retrain_request=event.request,
        )
        await start(session, loop, asked)

    async def committed(session: WriteSession, envelope: Envelope, event: DatasetCommitted) -> None:
        for loop in await session.scalars(select(LoopRow).where(LoopRow.project == envelope.project)):
            part = TrainingPart.from_json(loop.part)
            wanted = part.training.first_at is not None or "dataset" in part.training.on
            if not wanted or event.dataset not in part.datasets:
                continue
            payload = {"loop": loop.loop, "dataset": event.dataset, "version": event.version}
            key = f"{loop.loop}:{event.dataset}:{event.version}"
            await kit.work.add(session, CONSIDER, key=key, project=envelope.project, payload=payload)

    return Subscriptions({RetrainRequested: retrain, DatasetCommitted: committed})
