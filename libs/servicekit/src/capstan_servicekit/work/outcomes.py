"""Writes what became of an attempt: done, tried again later, failed, cancelled, or given back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from capstan_contracts.errors import Code, Problem
from capstan_contracts.work import State
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import CapstanError, NotReady
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.work.claims import Claim
from capstan_servicekit.work.kinds import AnyWork, WorkItem
from capstan_servicekit.work.lease import LeaseLost
from capstan_servicekit.work.payloads import PayloadError, decode

log = logger(__name__)
AWAY_ATTEMPTS = 40
"""Further attempts while a part is away: a server may need minutes to move to another machine."""
MAX_BACKOFF_S = 30.0


class Outcomes:
    """What is written when an attempt is over. Nothing is written for an item that somebody else has by now."""

    def __init__(self, database: Database, clock: Clock, metrics: Metrics) -> None:
        self._database, self._clock, self._metrics = database, clock, metrics

    async def ended(self, claim: Claim, work: AnyWork, error: BaseException | None) -> None:
        """The attempt has ended: with `error`, or without one, or because the lease said so."""
        if claim.lease.finished:
            self._metrics.work.labels(claim.kind, State.SUCCEEDED.value).inc()
        elif claim.lease.lost or isinstance(error, LeaseLost):
            return
        elif claim.lease.cancelled:
            await self._end(claim, work, State.CANCELLED, _CANCELLED)
        elif not isinstance(error, asyncio.CancelledError):  # one that cancelled itself is done again by its next lease
            await self._failed(claim, work, error or RuntimeError("the work ended without applying a result"))

    async def give_back(self, claim: Claim) -> None:
        """The process ends, and whoever is there does the item at once; without a database its lease runs out."""
        with suppress(LeaseLost, NotReady, OSError):
            async with self._database.write() as session:
                await claim.lease.give_back(session, attempts=claim.attempt - 1)

    async def _failed(self, claim: Claim, work: AnyWork, error: BaseException) -> None:
        final = isinstance(error, CapstanError) and error.permanent
        # A part that is away comes back.
        away = isinstance(error, NotReady)
        if not final and claim.attempt < work.max_attempts + (AWAY_ATTEMPTS if away else 0):
            log.warning(
                "work.retry", kind=claim.kind, key=claim.key, attempt=claim.attempt, error=str(error),
                exc_info=None if away else error,
            )  # fmt: skip
            await self._retry_later(claim, min(work.backoff_s * 2 ** (claim.attempt - 1), MAX_BACKOFF_S))
            return
        log.error("work.failed", kind=claim.kind, key=claim.key, work=claim.id, error=str(error), exc_info=error)
        await self._end(claim, work, State.FAILED, _problem(claim, error))

    async def _retry_later(self, claim: Claim, seconds: float) -> None:
        with suppress(LeaseLost):
            async with self._database.write() as session:
                await claim.lease.give_back(session, not_before=self._clock.now() + timedelta(seconds=seconds))
        self._metrics.work.labels(claim.kind, "retried").inc()

    async def _end(self, claim: Claim, work: AnyWork, state: State, problem: Problem) -> None:
        with suppress(LeaseLost):
            async with self._database.write() as session:
                await claim.lease.end(session, state, problem=problem.model_dump(mode="json"))
                if (item := _readable(claim, work)) is not None:
                    await work.failed(session, item, problem)
        self._metrics.work.labels(claim.kind, state.value).inc()


def item_of(claim: Claim, work: AnyWork) -> WorkItem[Any]:
    """The item as its work sees it; PayloadError when the stored payload is not of its kind's shape."""
    return WorkItem(claim.id, claim.key, claim.project, claim.attempt, decode(work.Payload, claim.stored))


def _readable(claim: Claim, work: AnyWork) -> WorkItem[Any] | None:
    """The item; None for a payload that nobody can read: it names nothing of ours that could be told of the end."""
    try:
        return item_of(claim, work)
    except PayloadError:
        return None


_CANCELLED = Problem(title="Cancelled", status=409, code=Code.CONFLICT, detail="The work was cancelled on request.")


def _problem(claim: Claim, error: BaseException) -> Problem:
    if isinstance(error, CapstanError):
        return error.problem()
    return Problem(
        title=Code.INTERNAL.summary,
        status=500,
        code=Code.INTERNAL,
        request_id=claim.id,
        detail=f"The work failed {claim.attempt} times; the log has it under {claim.id}.",
    )
