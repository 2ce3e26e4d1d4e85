"""Answered predictions, by their ids."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from capstan_contracts.ids import UUID_PATTERN
from capstan_contracts.rest.inference import PredictionRecord
from capstan_inference.actions.find_prediction import FindPrediction
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import ProjectName, Viewer


def predictions_router(find: FindPrediction) -> Router:
    """Routes under /v1/projects/{project}."""
    router = Router(prefix="/v1/projects/{project}", tags=["predictions"])

    @router.get("/predictions/{prediction}")
    async def prediction(
        _: Viewer, project: ProjectName, prediction: Annotated[str, Path(pattern=UUID_PATTERN)]
    ) -> PredictionRecord:
        """What was asked, what was read, what was answered."""
        return await find(project, prediction)

    return router
