"""Routes for the pod of a run: what it is to do, its inputs, its outputs. Its own token alone opens them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request, Response
from fastapi.responses import FileResponse

from capstan_contracts.ids import Digest, Uuid7
from capstan_contracts.rest.training import PodOrder, PodOutcome
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import ProjectName, Ticket
from capstan_training.actions.run_pod_api import RunPodApi

RunPath = Annotated[Uuid7, Path(description="the run's id")]


class RunPod(Ticket):
    """The permission of a run's pod: a token of the very run that the path names, as long as that goes on."""

    def __init__(self, handover: RunPodApi) -> None:
        self._handover = handover

    async def admits(self, token: str, request: Request) -> bool:
        """Looked up in the database, so that every process of the service knows it."""
        return await self._handover.admits(request.path_params["project"], request.path_params["run"], token)


def pods_router(handover: RunPodApi) -> Router:
    """`/runs/{run}/pod`."""
    router, pod = Router(prefix="/v1/projects/{project}/runs/{run}/pod", tags=["pods"]), Depends(RunPod(handover))

    @router.get("/order", response_model=PodOrder, dependencies=[pod])
    async def get_order(project: ProjectName, run: RunPath) -> PodOrder:
        """What is to be run."""
        return await handover.order(project, run)

    @router.get("/inputs/{name}", response_class=FileResponse, dependencies=[pod])
    async def get_input(project: ProjectName, run: RunPath, name: Annotated[str, Path()]) -> FileResponse:
        """The bytes of the compiled pipeline or of the training set."""
        return FileResponse(await handover.input(project, run, name), media_type="application/octet-stream")

    @router.put("/outputs/{name}/{digest}", status_code=204, dependencies=[pod])
    async def put_output(
        project: ProjectName,
        run: RunPath,
        name: Annotated[str, Path()],
        digest: Annotated[Digest, Path(description="sha256 of the body")],
        request: Request,
    ) -> Response:
        """Hand a file in. The same again changes nothing."""
        await handover.take(project, run, name, digest, request.stream())
        return Response(status_code=204)

    @router.put("/outcome", status_code=204, dependencies=[pod])
    async def put_outcome(project: ProjectName, run: RunPath, body: PodOutcome) -> Response:
        """Say how the pipeline ended; the first word stays."""
        await handover.finish(run, body)
        return Response(status_code=204)

    return router
