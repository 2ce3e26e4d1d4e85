"""Inference's part of a loop: one deployment under the loop's name; its model has that name, too."""

from __future__ import annotations

from capstan_contracts.first_champion import WAITS
from capstan_contracts.loop import ResolvedLoop
from capstan_inference.domain.deployment import DEPLOYMENT
from capstan_inference.domain.parts import ServingPart, changes
from capstan_inference.domain.work import ModelToReconcile
from capstan_inference.tables import DeploymentRow
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.loops.store import PartStore
from capstan_servicekit.work.queue import WorkQueue


class ServingParts(PartStore[ServingPart, None]):
    """A new deployment asks the registry for its champion."""

    service = "inference"
    stations = ("spec.serving",)

    def __init__(self, work: WorkQueue) -> None:
        self._work = work

    def part_of(self, resolved: ResolvedLoop) -> ServingPart:
        """Cut inference's part out of the whole."""
        return ServingPart.of(resolved)

    async def prepare(self, project: str, part: ServingPart) -> None:
        """Nothing needs preparing."""

    async def generation(self, session: ReadSession, project: str, loop: str) -> int | None:
        """The generation of the deployment."""
        row = await session.get(DeploymentRow, (project, loop))
        return None if row is None else row.generation

    async def changes(self, session: ReadSession, project: str, loop: str, part: ServingPart) -> list[str]:
        """What changes in how the loop is served."""
        row = await session.get(DeploymentRow, (project, loop))
        return changes(loop, None if row is None else ServingPart.from_json(row.config), part)

    async def store(
        self, session: WriteSession, project: str, loop: str, generation: int, part: ServingPart, prepared: None
    ) -> None:
        """Keep the part; placements read it when they are made anew."""
        row = await session.get(DeploymentRow, (project, loop))
        if row is None:
            row = DeploymentRow(project=project, name=loop, loop=loop, model=loop, state=DEPLOYMENT.first, revision=0)
            row.message = WAITS
            await self._work.add(session, ModelToReconcile(loop, f"generation-{generation}"), project=project)
        row.generation, row.config = generation, part.to_json()
        session.add(row)

    async def keep_generation(self, session: WriteSession, project: str, loop: str, generation: int) -> None:
        """The same part under a newer number."""
        if (row := await session.get(DeploymentRow, (project, loop))) is not None:
            row.generation = max(row.generation, generation)
