"""Deployments."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from capstan_contracts.ids import NAME_PATTERN
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.inference import Deployment, FlushResult
from capstan_inference.actions.list_deployments import ListDeployments
from capstan_inference.actions.ship_segments import ShipSegments
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Operator, ProjectName, Viewer

NamePath = Annotated[str, Path(pattern=NAME_PATTERN)]


def deployments_router(listing: ListDeployments, ship: ShipSegments) -> Router:
    """Routes under /v1/projects/{project}."""
    router = Router(prefix="/v1/projects/{project}", tags=["deployments"])

    @router.get("/deployments")
    async def deployments(_: Viewer, project: ProjectName) -> Page[Deployment]:
        """Every deployment of the project."""
        return await listing.all(project)

    @router.get("/deployments/{deployment}")
    async def deployment(_: Viewer, project: ProjectName, deployment: NamePath) -> Deployment:
        """One deployment: which version serves, since when, and where."""
        return await listing.by_name(project, deployment)

    @router.post("/deployments/{deployment}/flush")
    async def flush(_: Operator, project: ProjectName, deployment: NamePath) -> FlushResult:
        """Close the open segment of the prediction log and ship it now."""
        return await ship.flush(project, deployment)

    return router
