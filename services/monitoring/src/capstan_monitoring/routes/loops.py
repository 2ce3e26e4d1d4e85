"""The route by which the registry hands monitoring its part of a loop."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from capstan_contracts.ids import Name
from capstan_contracts.loop import LoopPart
from capstan_contracts.rest.common import PartStatus
from capstan_monitoring.actions.take_part import TakePart
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import ProjectName, ServiceIdentity


def loops_router(take: TakePart) -> Router:
    """`/loops`."""
    router = Router(prefix="/v1/projects/{project}/loops", tags=["loops"])

    @router.put("/{loop}", response_model=PartStatus)
    async def put_loop(
        project: ProjectName,
        loop: Annotated[Name, Path()],
        body: LoopPart,
        _: ServiceIdentity,
        dry_run: Annotated[bool, Query()] = False,
    ) -> PartStatus:
        """Take monitoring's part; with `dry_run` only say what would change."""
        return await take(project, loop, body, dry_run=dry_run)

    return router
