"""The ledger of decisions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from capstan_contracts.ids import NAME_PATTERN
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.registry import LedgerEntry, LedgerVerification
from capstan_registry.actions.read_ledger import ReadLedger
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import ProjectName, Viewer


def ledger_router(ledger: ReadLedger) -> Router:
    """Entries and their verification."""
    router = Router(prefix="/v1/projects/{project}/ledger", tags=["ledger"])

    @router.get("")
    async def entries(
        project: ProjectName,
        _: Viewer,
        model: Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=63)] = None,
        cursor: Annotated[int | None, Query(ge=1)] = None,
    ) -> Page[LedgerEntry]:
        """Decisions, newest first."""
        return await ledger.entries(project, model, cursor)

    @router.get("/verify")
    async def verification(project: ProjectName, _: Viewer) -> LedgerVerification:
        """Recompute the whole chain."""
        return await ledger.verify(project)

    return router
