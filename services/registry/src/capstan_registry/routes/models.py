"""Models, versions, promotions, champions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path, Query

from capstan_contracts.base import Instant
from capstan_contracts.ids import NAME_PATTERN, UUID_PATTERN
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.registry import (
    Approval,
    Champion,
    Model,
    ModelVersion,
    Promotion,
    Rollback,
    RollbackRequest,
)
from capstan_registry.actions.read_models import ReadModels
from capstan_registry.actions.request_promotion import Promotions
from capstan_registry.actions.roll_back import RollBack
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Operator, ProjectName, Viewer

ModelName = Annotated[str, Path(pattern=NAME_PATTERN, max_length=63)]
VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
PromotionId = Annotated[str, Path(pattern=UUID_PATTERN)]


def models_router(read: ReadModels, requests: Promotions, roll_back: RollBack) -> Router:
    """Models and what became of their versions."""
    router = Router(prefix="/v1/projects/{project}", tags=["models"])

    @router.get("/models")
    async def models(project: ProjectName, _: Viewer) -> Page[Model]:
        """Models by name."""
        return await read.models(project)

    @router.get("/models/{model}/versions")
    async def versions(project: ProjectName, model: ModelName, _: Viewer) -> Page[ModelVersion]:
        """Versions, newest first."""
        return await read.versions(project, model)

    @router.get("/models/{model}/versions/{version}")
    async def version(project: ProjectName, model: ModelName, version: VersionNumber, _: Viewer) -> ModelVersion:
        """One version."""
        return await read.version(project, model, version)

    @router.get("/models/{model}/champion")
    async def champion(
        project: ProjectName, model: ModelName, _: Viewer, at: Annotated[Instant | None, Query()] = None
    ) -> Champion:
        """Which version was production at a time, and why."""
        return await read.champion(project, model, at)

    @router.post("/models/{model}/versions/{version}/promotions", status_code=202)
    async def promote(
        project: ProjectName,
        model: ModelName,
        version: VersionNumber,
        principal: Operator,
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Promotion:
        """Ask for the version to become champion; its gates decide."""
        return await requests.request(project, model, version, by=principal.id, key=idempotency_key)

    @router.post("/models/{model}/rollback")
    async def rollback(
        project: ProjectName,
        model: ModelName,
        body: RollbackRequest,
        principal: Operator,
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> Rollback:
        """Go back to a version that was champion before: a person's decision, in force at once."""
        return await roll_back(project, model, body, by=principal, key=idempotency_key)

    @router.get("/promotions")
    async def promotions(
        project: ProjectName,
        _: Viewer,
        model: Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=63)] = None,
    ) -> Page[Promotion]:
        """Requests for promotion, newest first."""
        return await requests.newest(project, model)

    @router.get("/promotions/{promotion}")
    async def promotion(project: ProjectName, promotion: PromotionId, _: Viewer) -> Promotion:
        """A request for promotion and its decision."""
        return await requests.get(project, promotion)

    @router.put("/promotions/{promotion}/approval")
    async def answer(project: ProjectName, promotion: PromotionId, body: Approval, principal: Operator) -> Promotion:
        """Approve or reject a promotion that waits for a person; not for whoever asked for it."""
        return await requests.answer(project, promotion, body, by=principal)

    return router
