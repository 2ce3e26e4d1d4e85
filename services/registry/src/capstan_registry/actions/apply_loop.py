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
from capstan_registry.actions.distribute_loop import add_converge, distribute
from capstan_registry.domain.loop_changes import document, next_generation, own_changes
from capstan_registry.tables import LoopRow
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.errors import CapstanError, Conflict, Invalid, InvalidSpec, NotBuiltYet, broken
from capstan_servicekit.runtime import Kit

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


async def apply_loop(kit: Kit, project: str, loop: str, resolved: ResolvedLoop, *, dry_run: bool) -> LoopStatus:
    """Apply or, with `dry_run`, say what would change. When any service refuses, nothing has changed."""
    _check(project, loop, resolved)
    plan = await _plan(kit, project, loop, resolved)
    part = LoopPart(generation=plan.generation, resolved=resolved)
    asked = await _ask_all(kit, project, loop, part)
    if dry_run:
        return LoopStatus(
            name=loop, generation=plan.generation, applied=False, dry_run=True, parts=_in_order([plan.own, *asked])
        )
    async with kit.database.write() as session:
        await _store(kit, session, project, loop, resolved, plan)
    outcome = await distribute(kit, project, loop)
    parts = [plan.own, *outcome.parts]
    if outcome.failure is not None:
        service, error = outcome.failure
        parts.append(PartStatus(service=service, loop=loop, generation=0, changes=[f"not taken yet: {error.detail}"]))
    return LoopStatus(name=loop, generation=plan.generation, applied=outcome.applied, parts=_in_order(parts))


def _check(project: str, loop: str, resolved: ResolvedLoop) -> None:
    metadata = resolved.loop.metadata
    if metadata.name != loop:
        raise Invalid(
            f"The body is the loop {metadata.name!r}, the path names {loop!r}",
            errors=broken("body.loop.metadata.name", f"must be {loop!r}, as in the path"),
        )
    if metadata.project != project:
        raise Invalid(
            f"The body belongs to project {metadata.project!r}, the path names {project!r}",
            errors=broken("body.loop.metadata.project", f"must be {project!r}, as in the path"),
        )
    if unknown := not_installed(resolved.loop.spec.gates):
        raise InvalidSpec(
            "; ".join(f"{place}: {sentence}" for place, sentence in unknown),
            hint="Install the distribution that has the gate where the registry runs, or leave the gate out.",
            errors=[FieldError(place=place, rule=sentence) for place, sentence in unknown],
        )
    if missing := resolved.loop.not_built_yet():
        raise NotBuiltYet(
            "; ".join(f"{place}: {sentence}" for place, sentence in missing),
            hint="Leave these fields out of the loop and apply again.",
            errors=[FieldError(place=place, rule=sentence) for place, sentence in missing],
        )


async def _plan(kit: Kit, project: str, loop: str, resolved: ResolvedLoop) -> _Plan:
    async with kit.database.read() as session:
        row = await session.get(LoopRow, (project, loop))
    stored, seen = (row.resolved, row.generation) if row is not None else (None, 0)
    generation = next_generation(stored, seen, document(resolved))
    changes = own_changes(stored, resolved)
    return _Plan(seen, generation, PartStatus(service=REGISTRY, loop=loop, generation=generation, changes=changes))


async def _ask_all(kit: Kit, project: str, loop: str, part: LoopPart) -> list[PartStatus]:
    path = f"/v1/projects/{project}/loops/{loop}"
    asked = await asyncio.gather(
        *(kit.peers.put(service, path, part, PartStatus, dry_run="true") for service in OTHERS), return_exceptions=True
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


def _refusal(refusals: list[tuple[str, CapstanError]]) -> CapstanError:
    """The first refusal's kind with everybody's sentences; what a user can mend goes before a service that is away."""
    refusals.sort(key=lambda refusal: refusal[1].status >= 500)
    kind, first = type(refusals[0][1]), refusals[0][1]
    return kind(
        "; ".join(f"{service}: {error.detail}" for service, error in refusals),
        hint=first.hint or "Nothing was changed.",
        errors=[
            FieldError(place=f"{service}: {found.place}", rule=found.rule)
            for service, error in refusals
            for found in error.errors
        ],
        figures=first.figures,
        code=first.problem_code,
    )


async def _store(kit: Kit, session: WriteSession, project: str, loop: str, resolved: ResolvedLoop, plan: _Plan) -> None:
    row = await session.get(LoopRow, (project, loop))
    if (row.generation if row is not None else 0) != plan.seen:
        raise Conflict(f"The loop {loop!r} was applied by somebody else meanwhile", hint="Apply again.")
    if row is None:
        row = LoopRow(project=project, name=loop, generation=0, taken={}, applied=False, distributions=0)
        session.add(row)
    if row.generation == plan.generation and row.applied:
        return
    row.generation, row.resolved, row.updated_at = plan.generation, document(resolved), kit.clock.now()
    row.taken, row.applied = row.taken | {REGISTRY: plan.generation}, False
    await add_converge(kit, session, row, delay_s=CONVERGE_AFTER_S)


def _in_order(parts: list[PartStatus]) -> list[PartStatus]:
    return sorted(parts, key=lambda part: SERVICES.index(part.service))
