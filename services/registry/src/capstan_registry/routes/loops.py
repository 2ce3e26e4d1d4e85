"""Loop objects."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from capstan_contracts.ids import NAME_PATTERN
from capstan_contracts.loop import ResolvedLoop
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.registry import LoopStatus
from capstan_registry.actions.apply_loop import ApplyLoop
from capstan_registry.actions.read_loops import ReadLoops
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Admin, ProjectName, Viewer

LoopName = Annotated[str, Path(pattern=NAME_PATTERN, max_length=63)]


def loops_router(apply_loop: ApplyLoop, read: ReadLoops) -> Router:
    """PUT and GET of loops."""
    router = Router(prefix="/v1/projects/{project}/loops", tags=["loops"])

    @router.put("/{loop}", response_model_exclude_none=True)
    async def apply(
        project: ProjectName, loop: LoopName, body: ResolvedLoop, _: Admin, dry_run: Annotated[bool, Query()] = False
    ) -> LoopStatus:
        """Apply a loop, or with `dry_run` say what would change. Applying twice changes nothing."""
        return await apply_loop(project, loop, body, dry_run=dry_run)

    @router.get("", response_model_exclude_none=True)
    async def loops(project: ProjectName, _: Viewer) -> Page[LoopStatus]:
        """The loops of the project, with the generation that each service took."""
        return await read.all(project)

    @router.get("/{loop}")
    async def read_loop(project: ProjectName, loop: LoopName, _: Viewer) -> LoopStatus:
        """One loop with its content."""
        return await read.loop(project, loop)

    return router
