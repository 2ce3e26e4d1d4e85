"""Apply a Loop: check it whole, ask every service, store it, hand each service its part."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from capstan_contracts.errors import FieldError
from capstan_contracts.ids import SERVICES
from capstan_contracts.loop import LoopPart, ResolvedLoop
from capstan_contracts.rest.common import PartStatus
from capstan_contracts.rest.registry import LoopStatus
from capstan_registry.actions.check_gates import not_installed
from capstan_registry.actions.distribute_loop import DistributeLoop, QueueDistribution
from capstan_registry.domain.loop_changes import document, next_generation, own_changes
from capstan_registry.tables import LoopRow
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.errors import CapstanError, Conflict
from capstan_servicekit.loops.rules import check_built, check_name, check_rules, common_rules
from capstan_servicekit.peers import Peers

REGISTRY = "registry"
OTHERS = tuple(service for service in SERVICES if service != REGISTRY)
CONVERGE_AFTER_S = 5.0
"""The request itself hands the parts out first; the work item finishes what a crash or a missing service left."""


@dataclass(frozen=True)
class _Plan:
    """What applying would do, against the generation that was read."""

    seen: int
    generation: int
    own: PartStatus


class ApplyLoop:
    """`PUT /loops/{loop}`: asks every service before anything is stored, then hands each its part."""

    def __init__(
        self, database: Database, clock: Clock, peers: Peers, distribute: DistributeLoop, queue: QueueDistribution
    ) -> None:
        self._database, self._clock, self._peers = database, clock, peers
        self._distribute, self._queue = distribute, queue

    async def __call__(self, project: str, loop: str, resolved: ResolvedLoop, *, dry_run: bool) -> LoopStatus:
        """Apply or, with `dry_run`, say what would change. When any service refuses, nothing has changed."""
        _check(project, loop, resolved)
        plan = await self._plan(project, loop, resolved)
        part = LoopPart(generation=plan.generation, resolved=resolved)
        asked = await self._ask_all(project, loop, part)
        if dry_run:
            return LoopStatus(
                name=loop, generation=plan.generation, applied=False, dry_run=True, parts=_in_order([plan.own, *asked])
            )
        async with self._database.write() as session:
            await self._store(session, project, loop, resolved, plan)
        outcome = await self._distribute(project, loop)
        parts = [plan.own, *outcome.parts]
        if outcome.failure is not None:
            service, error = outcome.failure
            parts.append(
                PartStatus(service=service, loop=loop, generation=0, changes=[f"not taken yet: {error.detail}"])
            )
        return LoopStatus(name=loop, generation=plan.generation, applied=outcome.applied, parts=_in_order(parts))

    async def _plan(self, project: str, loop: str, resolved: ResolvedLoop) -> _Plan:
        async with self._database.read() as session:
            row = await session.get(LoopRow, (project, loop))
        stored, seen = (row.resolved, row.generation) if row is not None else (None, 0)
        generation = next_generation(stored, seen, document(resolved))
        changes = own_changes(stored, resolved)
        return _Plan(seen, generation, PartStatus(service=REGISTRY, loop=loop, generation=generation, changes=changes))

    async def _ask_all(self, project: str, loop: str, part: LoopPart) -> list[PartStatus]:
        path = f"/v1/projects/{project}/loops/{loop}"
        asked = await asyncio.gather(
            *(self._peers.put(service, path, part, PartStatus, dry_run="true") for service in OTHERS),
            return_exceptions=True,
        )
        refusals = []
        for service, answer in zip(OTHERS, asked, strict=True):
            if isinstance(answer, CapstanError):
                refusals.append((service, answer))
            elif isinstance(answer, BaseException):
                raise answer
        if refusals:
            raise _refusal(refusals)
        return [answer for answer in asked if isinstance(answer, PartStatus)]

    async def _store(self, session: WriteSession, project: str, loop: str, resolved: ResolvedLoop, plan: _Plan) -> None:
        row = await session.get(LoopRow, (project, loop))
        if (row.generation if row is not None else 0) != plan.seen:
            raise Conflict(f"The loop {loop!r} was applied by somebody else meanwhile", hint="Apply again.")
        if row is None:
            row = LoopRow(project=project, name=loop, generation=0, taken={}, applied=False, distributions=0)
            session.add(row)
        if row.generation == plan.generation and row.applied:
            return
        row.generation, row.resolved, row.updated_at = plan.generation, document(resolved), self._clock.now()
        row.taken, row.applied = row.taken | {REGISTRY: plan.generation}, False
        await self._queue(session, row, delay_s=CONVERGE_AFTER_S)


def _check(project: str, loop: str, resolved: ResolvedLoop) -> None:
    """What every service checks, and here for all stations, so that nobody is asked about a loop that cannot be."""
    check_name(resolved.loop, project, loop)
    check_built(resolved.loop, ("spec",))
    check_rules([*common_rules(resolved), *not_installed(resolved.loop.spec.gates)])


def _refusal(refusals: list[tuple[str, CapstanError]]) -> CapstanError:
    """The first refusal's kind with everybody's sentences; what a user can mend goes before a service that is away."""
    refusals.sort(key=lambda refusal: refusal[1].status >= 500)
    kind, first = type(refusals[0][1]), refusals[0][1]
    return kind(
        "; ".join(f"{service}: {error.detail}" for service, error in refusals),
        hint=first.hint or "Nothing was changed.",
        errors=[
            FieldError(place=f"{service}: {broken.place}", rule=broken.rule)
            for service, error in refusals
            for broken in error.errors
        ],
        figures=first.figures,
        code=first.problem_code,
    )


def _in_order(parts: list[PartStatus]) -> list[PartStatus]:
    return sorted(parts, key=lambda part: SERVICES.index(part.service))
