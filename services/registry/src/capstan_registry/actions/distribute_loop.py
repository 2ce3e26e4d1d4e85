"""Hand every service its part of the stored loop, until all took the generation. Safe to repeat."""

from __future__ import annotations

from dataclasses import dataclass

from capstan_contracts.errors import Problem
from capstan_contracts.ids import SERVICES
from capstan_contracts.loop import LoopPart
from capstan_contracts.rest.common import PartStatus
from capstan_registry.actions.stored_loop import stored_loop
from capstan_registry.tables import LoopRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.errors import CapstanError, NotFound, NotReady
from capstan_servicekit.runtime import Kit
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import WorkKind
from capstan_servicekit.work.lease import Lease, WorkItem

log = logger(__name__)
CONVERGE = "converge"
ORDER = tuple(service for service in SERVICES if service != "registry")
"""Data first: whoever reads a dataset or a view gets its part after the owner."""


@dataclass(frozen=True)
class Outcome:
    """Who took its part, and whether all did; `failure` is what the first one that did not said."""

    applied: bool
    parts: list[PartStatus]
    failure: tuple[str, CapstanError] | None = None


async def distribute(kit: Kit, project: str, loop: str) -> Outcome:
    """PUT the parts in order and note who took which generation. A service that cannot take its part ends the round."""
    async with kit.database.read() as session:
        row = await session.get(LoopRow, (project, loop))
    if row is None:
        raise NotFound(f"no loop {loop!r} in project {project!r}")
    part = LoopPart(generation=row.generation, resolved=stored_loop(row))
    path, parts, failure = f"/v1/projects/{project}/loops/{loop}", [], None
    for service in ORDER:
        try:
            parts.append(await kit.peers.put(service, path, part, PartStatus))
        except CapstanError as error:
            log.warning("loop.part_not_taken", loop=loop, service=service, detail=error.detail)
            failure = (service, error)
            break
    async with kit.database.write() as session:
        applied = await _note(session, project, loop, row.generation, [part.service for part in parts])
    return Outcome(applied and failure is None, parts, failure)


async def _note(session: WriteSession, project: str, loop: str, generation: int, services: list[str]) -> bool:
    row = await session.get(LoopRow, (project, loop))
    if row is None or row.generation != generation:
        return False
    row.taken = row.taken | dict.fromkeys(services, generation)
    row.applied = all(row.taken.get(service) == generation for service in SERVICES)
    return row.applied


async def add_converge(kit: Kit, session: WriteSession, row: LoopRow, *, delay_s: float = 0) -> None:
    """Enqueue the work that hands out what is missing."""
    row.distributions += 1
    key = f"{row.name}@{row.generation}#{row.distributions}"
    await kit.work.add(session, CONVERGE, key=key, project=row.project, payload={"loop": row.name}, delay_s=delay_s)


def converge_kind(kit: Kit) -> WorkKind:
    """The work that finishes what a crash or a missing service left."""

    async def run(item: WorkItem, lease: Lease) -> None:
        loop = item.payload["loop"]
        async with kit.database.read() as session:
            row = await session.get(LoopRow, (item.project, loop))
        if row is not None and not row.applied:
            outcome = await distribute(kit, item.project, loop)
            if not outcome.applied:
                # Also a refusal is tried again: the service may be of another release while the platform is updated.
                raise NotReady(f"the loop {loop!r} is not applied everywhere yet")
        async with lease.finish():
            pass

    async def failed(session: WriteSession, item: WorkItem, problem: Problem) -> None:
        log.error("loop.not_converged", loop=item.payload["loop"], project=item.project, detail=problem.detail)

    return WorkKind(run, failed, max_attempts=12, backoff_s=1.0)
