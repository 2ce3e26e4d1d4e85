"""Hand every service its part of the stored loop, until all took the generation. Safe to repeat."""

from __future__ import annotations

from dataclasses import dataclass

from capstan_contracts.errors import Problem
from capstan_contracts.ids import SERVICES
from capstan_contracts.loop import LoopPart
from capstan_contracts.rest.common import PartStatus
from capstan_registry.actions.stored_loop import stored_loop
from capstan_registry.domain.work import LoopToDistribute
from capstan_registry.tables import LoopRow
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.errors import CapstanError, NotFound, NotReady
from capstan_servicekit.peers import Peers
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.queue import WorkQueue

log = logger(__name__)
ORDER = tuple(service for service in SERVICES if service != "registry")
"""Data first: whoever reads a dataset or a view gets its part after the owner."""


@dataclass(frozen=True)
class Outcome:
    """Who took its part, and whether all did; `failure` is what the first one that did not said."""

    applied: bool
    parts: list[PartStatus]
    failure: tuple[str, CapstanError] | None = None


class DistributeLoop:
    """PUTs the parts in order. A service that cannot take its part ends the round."""

    def __init__(self, database: Database, peers: Peers) -> None:
        self._database, self._peers = database, peers

    async def __call__(self, project: str, loop: str) -> Outcome:
        """Hand out the stored loop and keep who took which generation; NotFound."""
        async with self._database.read() as session:
            row = await session.get(LoopRow, (project, loop))
        if row is None:
            raise NotFound(f"no loop {loop!r} in project {project!r}")
        part = LoopPart(generation=row.generation, resolved=stored_loop(row))
        path, parts, failure = f"/v1/projects/{project}/loops/{loop}", [], None
        for service in ORDER:
            try:
                parts.append(await self._peers.put(service, path, part, PartStatus))
            except CapstanError as error:
                log.warning("loop.part_not_taken", loop=loop, service=service, detail=error.detail)
                failure = (service, error)
                break
        async with self._database.write() as session:
            applied = await _note(session, project, loop, row.generation, [part.service for part in parts])
        return Outcome(applied and failure is None, parts, failure)


async def _note(session: WriteSession, project: str, loop: str, generation: int, services: list[str]) -> bool:
    row = await session.get(LoopRow, (project, loop))
    if row is None or row.generation != generation:
        return False
    row.taken = row.taken | dict.fromkeys(services, generation)
    row.applied = all(row.taken.get(service) == generation for service in SERVICES)
    return row.applied


class QueueDistribution:
    """Enqueues the work that hands out what is missing, in the caller's transaction."""

    def __init__(self, work: WorkQueue) -> None:
        self._work = work

    async def __call__(self, session: WriteSession, row: LoopRow, *, delay_s: float = 0) -> None:
        """Counted, so that the same generation can be handed out again."""
        row.distributions += 1
        distribution = LoopToDistribute(row.name, row.generation, row.distributions)
        await self._work.add(session, distribution, project=row.project, delay_s=delay_s)


class FinishDistribution(Work[LoopToDistribute]):
    """Finishes what a crash or a missing service left. Patient: that service may be away for a while."""

    Payload = LoopToDistribute
    max_attempts = 12

    def __init__(self, database: Database, distribute: DistributeLoop) -> None:
        self._database, self._distribute = database, distribute

    async def run(self, item: WorkItem[LoopToDistribute], lease: Lease) -> None:
        """Hand out once more, unless all have it by now."""
        loop = item.payload.loop
        async with self._database.read() as session:
            row = await session.get(LoopRow, (item.project, loop))
        if row is not None and not row.applied:
            outcome = await self._distribute(item.project, loop)
            if not outcome.applied:
                # Also a refusal is tried again: the service may be of another release while the platform is updated.
                raise NotReady(f"the loop {loop!r} is not applied everywhere yet")
        async with lease.finish():
            pass

    async def failed(self, session: WriteSession, item: WorkItem[LoopToDistribute], problem: Problem) -> None:
        """The reconciler enqueues it again."""
        log.error("loop.not_converged", loop=item.payload.loop, project=item.project, detail=problem.detail)
