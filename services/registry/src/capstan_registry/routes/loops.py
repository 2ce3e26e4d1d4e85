"""Loop objects."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from capstan_contracts.ids import NAME_PATTERN
from capstan_contracts.loop import ResolvedLoop
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.registry import LoopStatus
from capstan_registry.actions.apply_loop import apply_loop
from capstan_registry.actions.read_loops import get_loop, list_loops
from capstan_servicekit.http.routing import Router
from capstan_servicekit.runtime import Kit
from capstan_servicekit.security.auth import Admin, ProjectName, Viewer

LoopName = Annotated[str, Path(pattern=NAME_PATTERN, max_length=63)]


def loops_router(kit: Kit) -> Router:
    """PUT and GET of loops."""
    router = Router(prefix="/v1/projects/{project}/loops", tags=["loops"])

    @router.put("/{loop}", response_model_exclude_none=True)
    async def apply(
        project: ProjectName, loop: LoopName, body: ResolvedLoop, _: Admin, dry_run: Annotated[bool, Query()] = False
    ) -> LoopStatus:
        """Apply a loop, or with `dry_run` say what would change. Applying twice changes nothing."""
        return await apply_loop(kit, project, loop, body, dry_run=dry_run)

    @router.get("", response_model_exclude_none=True)
    async def loops(project: ProjectName, _: Viewer) -> Page[LoopStatus]:
        """The loops of the project, with the generation that each service took."""
        async with kit.database.read() as session:
            return await list_loops(session, project)

    @router.get("/{loop}")
    async def one(project: ProjectName, loop: LoopName, _: Viewer) -> LoopStatus:
        """One loop with its content."""
        async with kit.database.read() as session:
            return await get_loop(session, project, loop)

    return router
