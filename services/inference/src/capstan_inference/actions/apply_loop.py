"""Take a loop's serving part, or say what taking it would change."""

from __future__ import annotations

from capstan_contracts.loop import LoopPart
from capstan_contracts.rest.common import PartStatus
from capstan_inference.domain.parts import ServingPart
from capstan_inference.tables import DeploymentRow
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.errors import Conflict, Invalid, NotBuiltYet, broken
from capstan_servicekit.work.queue import WorkQueue

RECONCILE = "reconcile"


class ApplyLoop:
    """One deployment per loop, under the loop's name; its model has that name, too."""

    def __init__(self, work: WorkQueue) -> None:
        self._work = work

    async def preview(self, session: ReadSession, project: str, loop: str, part: LoopPart) -> PartStatus:
        """What would change."""
        serving = _checked(project, loop, part)
        return _status(loop, part, serving, await session.get(DeploymentRow, (project, loop)))

    async def __call__(self, session: WriteSession, project: str, loop: str, part: LoopPart) -> PartStatus:
        """Store the part. A new deployment asks the registry for its champion."""
        serving = _checked(project, loop, part)
        row = await session.get(DeploymentRow, (project, loop))
        status = _status(loop, part, serving, row)
        if row is None:
            session.add(
                DeploymentRow(
                    project=project,
                    name=loop,
                    loop=loop,
                    model=loop,
                    generation=part.generation,
                    config=serving.to_json(),
                    state="waiting",
                    revision=0,
                    message="no version was promoted yet",
                )
            )
            await self._work.add(session, RECONCILE, key=f"{loop}:generation-{part.generation}", project=project)
        else:
            row.generation = max(row.generation, part.generation)
            row.config = serving.to_json()
        return status


def _checked(project: str, loop: str, part: LoopPart) -> ServingPart:
    metadata = part.resolved.loop.metadata
    for field, said, wanted in (("name", metadata.name, loop), ("project", metadata.project, project)):
        if said != wanted:
            place = f"resolved.loop.metadata.{field}"
            raise Invalid(f"The path says {wanted!r}, the body {said!r}", errors=broken(place, f"must be {wanted!r}"))
    for place, sentence in part.resolved.loop.not_built_yet():
        if place.startswith("spec.serving."):
            raise NotBuiltYet(sentence, errors=broken(place, sentence))
    return ServingPart.of(part.resolved)


def _status(loop: str, part: LoopPart, serving: ServingPart, row: DeploymentRow | None) -> PartStatus:
    before = None if row is None else ServingPart.from_json(row.config)
    changes = serving.changes_from(before, loop)
    if changes and row is not None and part.generation < row.generation:
        raise Conflict(
            f"generation {part.generation} of loop {loop} is older than {row.generation}, which is stored here",
            hint="Apply the loop again: the registry numbers it anew.",
        )
    return PartStatus(service="inference", loop=loop, generation=part.generation, changes=changes)
