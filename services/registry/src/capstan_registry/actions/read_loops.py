"""Look at loops."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.ids import SERVICES
from capstan_contracts.rest.common import Page, PartStatus
from capstan_contracts.rest.registry import LoopStatus
from capstan_registry.actions.stored_loop import stored_loop
from capstan_registry.tables import LoopRow
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import NotFound


class ReadLoops:
    """Loops with the generation that each service took."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, project: str) -> Page[LoopStatus]:
        """The loops of a project by name, without their content."""
        by_name = select(LoopRow).where(LoopRow.project == project).order_by(LoopRow.name)
        async with self._database.read() as session:
            rows = (await session.scalars(by_name)).all()
        return Page(items=[_status(row) for row in rows])

    async def loop(self, project: str, loop: str) -> LoopStatus:
        """A loop with its content. NotFound; Conflict when it cannot be read any more."""
        async with self._database.read() as session:
            row = await session.get(LoopRow, (project, loop))
        if row is None:
            raise NotFound(f"no loop {loop!r} in project {project!r}", hint="`capstan apply -f loop.yaml` makes one.")
        return _status(row).model_copy(update={"resolved": stored_loop(row)})


def _status(row: LoopRow) -> LoopStatus:
    parts = [
        PartStatus(service=service, loop=row.name, generation=row.taken[service])
        for service in SERVICES
        if service in row.taken
    ]
    return LoopStatus(name=row.name, generation=row.generation, applied=row.applied, parts=parts)
