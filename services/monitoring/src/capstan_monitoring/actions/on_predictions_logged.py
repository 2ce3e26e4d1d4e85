"""A segment of the prediction log has come: have it taken in."""

from __future__ import annotations

from capstan_contracts.events import Envelope, PredictionsLogged
from capstan_monitoring.domain.work import SegmentToIngest
from capstan_monitoring.tables import monitor_row
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue


class OnPredictionsLogged:
    """`predictions.logged`. A deployment has the name of its loop."""

    def __init__(self, work: WorkQueue) -> None:
        self._work = work

    async def __call__(self, session: WriteSession, envelope: Envelope, event: PredictionsLogged) -> None:
        """NotFound for one of no loop: the event is set aside, to be replayed when the loop is there."""
        monitor = await monitor_row(session, envelope.project, event.deployment)
        await self._work.add(session, SegmentToIngest(monitor.loop, event.segment), project=envelope.project)
