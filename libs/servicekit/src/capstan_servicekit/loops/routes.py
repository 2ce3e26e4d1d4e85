"""The route by which the registry hands a service its part of a loop: the same at each."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import Path, Query

from capstan_contracts.ids import Name
from capstan_contracts.loop import LoopPart
from capstan_contracts.rest.common import PartStatus
from capstan_servicekit.http.routing import Router
from capstan_servicekit.loops.apply import ApplyPart
from capstan_servicekit.security.auth import ProjectName, ServiceIdentity

P = TypeVar("P")
R = TypeVar("R")


def loops_router(apply: ApplyPart[P, R]) -> Router:
    """`PUT /v1/projects/{project}/loops/{loop}`."""
    router = Router(prefix="/v1/projects/{project}/loops", tags=["loops"])

    @router.put("/{loop}")
    async def apply_part(
        project: ProjectName,
        loop: Annotated[Name, Path()],
        body: LoopPart,
        _: ServiceIdentity,
        dry_run: Annotated[bool, Query()] = False,
    ) -> PartStatus:
        """Take this service's part of a loop; with `dry_run` only say what would change."""
        return await apply(project, loop, body, dry_run=dry_run)

    return router
