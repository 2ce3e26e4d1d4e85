"""Labels from outside the dataset."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from capstan_contracts.rest.monitoring import LabelsRequest, LabelsResult
from capstan_monitoring.actions.receive_labels import ReceiveLabels
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Operator, ProjectName


def labels_router(receive: ReceiveLabels) -> Router:
    """`/labels`."""
    router = Router(prefix="/v1/projects/{project}", tags=["labels"])

    @router.post("/labels", response_model=LabelsResult)
    async def post(
        project: ProjectName,
        body: LabelsRequest,
        _: Operator,
        key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
    ) -> LabelsResult:
        """Give labels to predictions, by prediction id or by the keys of the loop's dataset. All or none."""
        return await receive(project, body, key)

    return router
