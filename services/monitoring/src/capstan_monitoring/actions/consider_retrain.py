"""Decide on a retrain after drift, and ask for it as soon as its labels are complete."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from capstan_contracts.events import RetrainRequested, RetrainWithheld
from capstan_contracts.ids import Urn, uuid7
from capstan_monitoring.domain.guard import PastRetrain, refusal
from capstan_monitoring.domain.part import MonitorPart
from capstan_monitoring.domain.retrain import RETRAIN, RetrainState
from capstan_monitoring.tables import CommitRow, RetrainRow
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import WriteSession

DAY = timedelta(days=1)
REMEMBERED = 100


def labels_until(window_end: datetime, delay: timedelta) -> datetime:
    """Up to when rows must have been committed, for the window's labels to be complete.

    A day of grace, for the last row of a window seldom lies on its very end; a delay beyond a day is waited for.
    """
    return window_end - DAY + max(timedelta(0), delay - DAY)


class ConsiderRetrain:
    """Runs in the transactions of others: a verdict, or a commit."""

    def __init__(self, clock: Clock, outbox: Outbox) -> None:
        self._clock, self._outbox = clock, outbox

    async def after_drift(
        self, session: WriteSession, project: str, loop: str, part: MonitorPart, now: datetime, reason: str,
        evidence: dict[str, object],
    ) -> None:  # fmt: skip
        """`now` is the end of the window that drifted, in event time."""
        why = await self._refusal(session, project, loop, part, now)
        state = RETRAIN.move(RETRAIN.first, RetrainState.WITHHELD) if why else RETRAIN.first
        row = RetrainRow(
            id=uuid7(), project=project, loop=loop, state=state, reason=reason,
            why=why or "", evidence=evidence, event_time=now, at=self._clock.now(),
        )  # fmt: skip
        session.add(row)
        if why:
            withheld = RetrainWithheld(loop=loop, reason=reason, why=why, evidence=evidence)
            self._outbox.add(session, withheld, project=project, subject=Urn(project, "loop", loop))
            return
        row.needs_labels_until = labels_until(now, part.monitoring.labels.delay)
        newest = await session.scalar(
            select(CommitRow)
            .where(
                CommitRow.project == project,
                CommitRow.dataset == part.dataset,
                CommitRow.event_time_max >= row.needs_labels_until,
            )
            .order_by(CommitRow.committed_at.desc())
            .limit(1)
        )
        if newest is not None:
            self._request(session, row, newest)
        else:
            row.why = f"waits for a version of {part.dataset} with rows up to {row.needs_labels_until:%Y-%m-%d %H:%M}"

    async def after_commit(self, session: WriteSession, loop: str, commit: CommitRow) -> None:
        """Ask for what waited for this commit."""
        if commit.event_time_max is None:
            return
        waiting = (
            RetrainRow.project == commit.project,
            RetrainRow.loop == loop,
            RetrainRow.state == RetrainState.WAITING,
        )
        ready = RetrainRow.needs_labels_until <= commit.event_time_max
        for row in (await session.scalars(select(RetrainRow).where(*waiting, ready))).all():
            self._request(session, row, commit)

    async def _refusal(
        self, session: WriteSession, project: str, loop: str, part: MonitorPart, now: datetime
    ) -> str | None:
        if not part.retrain_on_drift:
            return "the loop does not retrain on drift (spec.training.on)"
        rows = await session.scalars(
            select(RetrainRow)
            .where(RetrainRow.project == project, RetrainRow.loop == loop, RetrainRow.state != RetrainState.WITHHELD)
            .order_by(RetrainRow.event_time.desc(), RetrainRow.at.desc())
            .limit(REMEMBERED)
        )
        past = [PastRetrain(state=row.state, event_time=row.event_time) for row in rows.all()]
        return refusal(now, past, part.monitoring.retrain)

    def _request(self, session: WriteSession, row: RetrainRow, commit: CommitRow) -> None:
        row.state = RETRAIN.move(row.state, RetrainState.REQUESTED)
        row.dataset_version, row.why = commit.version, ""
        event = RetrainRequested(
            request=row.id, loop=row.loop, reason=row.reason, dataset=commit.dataset, dataset_version=commit.version,
            evidence=row.evidence,
        )  # fmt: skip
        self._outbox.add(session, event, project=row.project, subject=Urn(row.project, "loop", row.loop))
