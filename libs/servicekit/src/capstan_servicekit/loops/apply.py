"""Take a service's part of a loop, or say what taking it would change."""

from __future__ import annotations

from typing import Generic, TypeVar

from capstan_contracts.loop import LoopPart
from capstan_contracts.rest.common import PartStatus
from capstan_servicekit.db.session import Database, ReadSession
from capstan_servicekit.errors import Conflict, broken
from capstan_servicekit.loops.rules import check_built, check_name, check_rules, common_rules
from capstan_servicekit.loops.store import PartStore

P = TypeVar("P")
R = TypeVar("R")


class ApplyPart(Generic[P, R]):
    """`PUT /loops/{loop}`: checked whole before anything is stored; the same part again changes nothing.

    An older generation that would change something is refused (409): the registry numbers loops, and a part that comes
    late must not undo a newer one. So is another content under the stored generation.
    """

    def __init__(self, database: Database, parts: PartStore[P, R]) -> None:
        self._database, self._parts = database, parts

    async def __call__(self, project: str, loop: str, body: LoopPart, *, dry_run: bool) -> PartStatus:
        """What changes, in sentences; with `dry_run` nothing is stored. InvalidSpec, NotBuiltYet, Conflict."""
        resolved, parts = body.resolved, self._parts
        check_name(resolved.loop, project, loop)
        check_built(resolved.loop, parts.stations)
        check_rules(common_rules(resolved))
        part = parts.part_of(resolved)
        check_rules(parts.rules(part, resolved))
        async with self._database.read() as session:
            stored, changes = await self._compare(session, project, loop, body.generation, part)
        if stored is None or changes:
            prepared = await parts.prepare(project, part)
            if not dry_run:
                changes = await self._store(project, loop, body.generation, part, prepared)
        elif not dry_run and body.generation > stored:
            async with self._database.write() as session:
                await parts.keep_generation(session, project, loop, body.generation)
        return PartStatus(service=parts.service, loop=loop, generation=body.generation, changes=changes)

    async def _store(self, project: str, loop: str, generation: int, part: P, prepared: R) -> list[str]:
        async with self._database.write() as session:
            # Compared again: preparing took time, and somebody else may have applied the loop meanwhile.
            stored, changes = await self._compare(session, project, loop, generation, part)
            if stored is None or changes:
                await self._parts.store(session, project, loop, generation, part, prepared)
        return changes

    async def _compare(
        self, session: ReadSession, project: str, loop: str, generation: int, part: P
    ) -> tuple[int | None, list[str]]:
        """The stored generation, and what this part would change of it."""
        stored = await self._parts.generation(session, project, loop)
        changes = await self._parts.changes(session, project, loop, part)
        if changes and stored is not None and generation <= stored:
            relation = "is older than" if generation < stored else "was applied with another content than"
            raise Conflict(
                f"Generation {generation} of loop {loop!r} {relation} the stored generation {stored}",
                hint="Apply the loop again: the registry counts its generations.",
                errors=broken("generation", f"greater than {stored}, since it changes the loop"),
            )
        return stored, changes
