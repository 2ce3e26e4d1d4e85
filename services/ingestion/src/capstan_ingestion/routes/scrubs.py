"""Scrubs: whether every stored byte of datasets is still what was stored."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query

from capstan_contracts.ids import Uuid7
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.ingestion import Scrub, ScrubRequest
from capstan_ingestion.actions.scrubs import Scrubs
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Operator, ProjectName, Viewer


def scrubs_router(scrubs: Scrubs) -> Router:
    """Routes of scrubs."""
    router = Router(prefix="/v1/projects/{project}", tags=["scrubs"])

    @router.post("/scrubs", response_model=Scrub, status_code=202)
    async def request(
        project: ProjectName,
        body: ScrubRequest,
        _: Operator,
        key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
    ) -> Scrub:
        """Read all objects of a dataset, or of all datasets, in the background."""
        return await scrubs.request(project, body, key)

    @router.get("/scrubs", response_model=Page[Scrub])
    async def page(
        project: ProjectName,
        _: Viewer,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Annotated[Uuid7 | None, Query()] = None,
    ) -> Page[Scrub]:
        """All scrubs, newest first."""
        return await scrubs.page(project, limit=limit, before=cursor)

    @router.get("/scrubs/{scrub}", response_model=Scrub)
    async def one(project: ProjectName, scrub: Uuid7, _: Viewer) -> Scrub:
        """A scrub: how far it is, and in the end what is damaged or gone."""
        return await scrubs.one(project, scrub)

    @router.post("/scrubs/{scrub}/cancel", response_model=Scrub)
    async def cancel(project: ProjectName, scrub: Uuid7, _: Operator) -> Scrub:
        """Stop a scrub."""
        return await scrubs.cancel(project, scrub)

    return router
