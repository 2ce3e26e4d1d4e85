"""Monitoring asks for a retraining: start it on exactly the dataset version that it names."""

from __future__ import annotations

from capstan_contracts.events import RetrainRequested
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.errors import InvalidSpec, NotFound, broken
from capstan_servicekit.telemetry.logs import logger
from capstan_training.actions.start_run import Start, StartRun
from capstan_training.domain.part import TrainingPart
from capstan_training.tables import LoopRow

log = logger(__name__)


class Retrain:
    """One run per request, however often the request comes."""

    def __init__(self, start: StartRun) -> None:
        self._start = start

    async def __call__(self, session: WriteSession, project: str, by: str, event: RetrainRequested) -> None:
        """Start the run in the caller's transaction; NotFound, or InvalidSpec when the labels lie elsewhere."""
        loop = await session.get(LoopRow, (project, event.loop))
        if loop is None:
            raise NotFound(f"retraining was asked for the unknown loop {event.loop} of project {project}")
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
            requested_by=by,
            dataset_version=event.dataset_version,
            retrain_request=event.request,
        )
        await self._start(session, loop, asked)
