"""One small client per service; each method is one route."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter

from capstan_client.sdk.transport import Transport, parsed, poll
from capstan_contracts.base import Lenient
from capstan_contracts.loop import DatasetSpec, ResolvedLoop
from capstan_contracts.rest.common import DeadLetter, Page, SessionLink
from capstan_contracts.rest.feature_store import (
    ExplainRequest,
    Explanation,
    FeatureServiceInfo,
    Materialization,
    OnlineRequest,
    OnlineResponse,
    TrainingSet,
    View,
)
from capstan_contracts.rest.inference import Deployment, FlushResult, PredictionRecord
from capstan_contracts.rest.ingestion import Batch, BatchState, Dataset, FailingRows, Manifest, Scrub, ScrubRequest
from capstan_contracts.rest.monitoring import (
    LabelsRequest,
    LabelsResult,
    Monitor,
    QualityWindow,
    Retrain,
    WatermarkRequest,
    Window,
)
from capstan_contracts.rest.registry import (
    Approval,
    Champion,
    LedgerEntry,
    LedgerVerification,
    LoopStatus,
    ModelVersion,
    Promotion,
    Rollback,
    RollbackRequest,
)
from capstan_contracts.rest.training import CodeArchive, Run, RunRequest
from capstan_contracts.work import Progress

T = TypeVar("T")
_ENDS = {BatchState.COMMITTED, BatchState.QUARANTINED, BatchState.REPLACED, BatchState.FAILED}


class _Count(Lenient):
    events: int


class ServiceClient:
    """What every service answers."""

    def __init__(self, transport: Transport) -> None:
        self.http = transport

    async def dead_letters(self) -> list[DeadLetter]:
        """Events that the service could not take."""
        return (await self.http.get("/dead-letters", Page[DeadLetter])).items

    async def replay_dead_letter(self, letter: str) -> DeadLetter:
        """Hand one to its handler again."""
        return await self.http.post(f"/dead-letters/{letter}/replay", None, DeadLetter)

    async def reconcile(self, hours: float = 24) -> int:
        """Publish again what the service published lately; how many events."""
        return (await self.http.post("/events/reconcile", None, _Count, hours=hours)).events

    async def every(self, path: str, page: type[Page[T]], **params: Any) -> AsyncIterator[T]:
        """The items of all pages of a list."""
        cursor: str | None = None
        while True:
            fetched = await self.http.get(path, page, cursor=cursor, **params)
            for item in fetched.items:
                yield item
            if fetched.next is None or fetched.next == cursor:
                return
            cursor = fetched.next

    async def session_link(self, path: str) -> SessionLink:
        """A one-time address for a browser."""
        response = await self.http.call("POST", "/v1/session-links", params={"path": path}, absolute=True)
        return parsed(response, TypeAdapter(SessionLink))


class Ingestion(ServiceClient):
    """Datasets, batches, versions."""

    async def register(self, spec: DatasetSpec) -> Dataset:
        """Create a dataset or change its contract."""
        return await self.http.put(f"/datasets/{spec.name}", spec, Dataset)

    async def datasets(self) -> list[Dataset]:
        """All datasets."""
        return (await self.http.get("/datasets", Page[Dataset])).items

    async def dataset(self, name: str) -> Dataset:
        """One dataset."""
        return await self.http.get(f"/datasets/{name}", Dataset)

    async def upload(
        self, dataset: str, content: bytes, *, partition: str, filename: str, media: str | None = None,
        replaces: str | None = None, allow_duplicate: bool = False,
    ) -> Batch:  # fmt: skip
        """Send a file; its name, or `media`, tells its form. It is checked afterwards (`wait_for_batch`).

        Conflict where another partition holds the same bytes, unless `allow_duplicate`.
        """
        response = await self.http.call(
            "POST", f"/datasets/{dataset}/batches", body=content, media="application/octet-stream",
            params={"partition": partition, "filename": filename, "media": media, "replaces": replaces,
                    "allow_duplicate": "true" if allow_duplicate else None},
        )  # fmt: skip
        return parsed(response, TypeAdapter(Batch))

    async def batch(self, batch: str) -> Batch:
        """One batch with its verdict."""
        return await self.http.get(f"/batches/{batch}", Batch)

    async def wait_for_batch(self, batch: str, timeout_s: float = 120) -> Batch:
        """Wait for the verdict."""
        return await poll(lambda: self.batch(batch), lambda latest: latest.state in _ENDS, timeout_s=timeout_s)

    async def batches(self, dataset: str) -> list[Batch]:
        """Batches, newest first."""
        return (await self.http.get(f"/datasets/{dataset}/batches", Page[Batch])).items

    async def scrub(self, dataset: str | None = None) -> Scrub:
        """Have every stored byte of a dataset read, or of all datasets (`wait_for_scrub`)."""
        return await self.http.post("/scrubs", ScrubRequest(dataset=dataset), Scrub)

    async def wait_for_scrub(
        self, scrub: str, told: Callable[[Progress], None] = lambda progress: None, timeout_s: float = 24 * 3600
    ) -> Scrub:
        """Wait for its end; `told` hears how far it is."""

        def ended(found: Scrub) -> bool:
            told(found.progress)
            return found.state.finished

        return await poll(lambda: self.http.get(f"/scrubs/{scrub}", Scrub), ended, timeout_s=timeout_s)

    async def failing_rows(self, batch: str) -> FailingRows:
        """Rows that broke the contract."""
        return await self.http.get(f"/batches/{batch}/failing-rows", FailingRows)

    async def replay(self, batch: str) -> Batch:
        """Check a quarantined batch again."""
        return await self.http.post(f"/batches/{batch}/replay", None, Batch)

    async def versions(self, dataset: str) -> list[Manifest]:
        """Versions, newest first."""
        return (await self.http.get(f"/datasets/{dataset}/versions", Page[Manifest])).items

    async def version(self, dataset: str, version: str) -> Manifest:
        """One version; 12 characters suffice."""
        return await self.http.get(f"/datasets/{dataset}/versions/{version}", Manifest)


class FeatureStore(ServiceClient):
    """Views, training sets, online features."""

    async def views(self) -> list[View]:
        """All views."""
        return (await self.http.get("/views", Page[View])).items

    async def feature_service(self, name: str) -> FeatureServiceInfo:
        """One feature service."""
        return await self.http.get(f"/feature-services/{name}", FeatureServiceInfo)

    async def materializations(self) -> list[Materialization]:
        """Materializations, newest first."""
        return (await self.http.get("/materializations", Page[Materialization])).items

    async def online(self, request: OnlineRequest) -> OnlineResponse:
        """Read features."""
        return await self.http.post("/online-features", request, OnlineResponse)

    async def training_set(self, set_id: str) -> TrainingSet:
        """One training set."""
        return await self.http.get(f"/training-sets/{set_id}", TrainingSet)

    async def explain(self, view: str, request: ExplainRequest) -> Explanation:
        """The source rows behind a value."""
        return await self.http.post(f"/views/{view}/explain", request, Explanation)


class Training(ServiceClient):
    """Code and runs."""

    async def upload_code(self, digest: str, archive: bytes) -> CodeArchive:
        """Send a recipe folder."""
        response = await self.http.call("PUT", f"/code/{digest}", body=archive, media="application/gzip")
        return parsed(response, TypeAdapter(CodeArchive))

    async def start(self, request: RunRequest) -> Run:
        """Start a run."""
        return await self.http.post("/runs", request, Run)

    async def runs(self) -> list[Run]:
        """Runs, newest first."""
        return (await self.http.get("/runs", Page[Run])).items

    def every_run(self) -> AsyncIterator[Run]:
        """All runs, newest first, page by page."""
        return self.every("/runs", Page[Run])

    async def run(self, run: str) -> Run:
        """One run."""
        return await self.http.get(f"/runs/{run}", Run)

    async def wait_for_run(self, run: str, timeout_s: float = 600) -> Run:
        """Wait until the run has ended."""
        return await poll(lambda: self.run(run), lambda latest: latest.state.finished, timeout_s=timeout_s)

    async def cancel(self, run: str) -> Run:
        """Stop a run."""
        return await self.http.post(f"/runs/{run}/cancel", None, Run)

    async def logs(self, run: str, *, follow: bool = False) -> AsyncIterator[str]:
        """Log lines; with `follow` until the run ends."""
        async for line in self.http.lines(f"/runs/{run}/logs", follow=str(follow).lower()):
            if not follow:
                yield line
            elif line.startswith("data:"):
                yield line.removeprefix("data:").removeprefix(" ")


class Registry(ServiceClient):
    """Loops, models, ledger."""

    async def apply(self, resolved: ResolvedLoop, *, dry_run: bool = False) -> LoopStatus:
        """Hand a loop in; a dry run says what would change."""
        name = resolved.loop.metadata.name
        return await self.http.put(f"/loops/{name}", resolved, LoopStatus, dry_run=str(dry_run).lower())

    async def loops(self) -> list[LoopStatus]:
        """All loops."""
        return (await self.http.get("/loops", Page[LoopStatus])).items

    async def loop(self, name: str) -> LoopStatus:
        """One loop."""
        return await self.http.get(f"/loops/{name}", LoopStatus)

    async def versions(self, model: str) -> list[ModelVersion]:
        """Versions of a model, newest first."""
        return (await self.http.get(f"/models/{model}/versions", Page[ModelVersion])).items

    async def version(self, model: str, version: int) -> ModelVersion:
        """One version."""
        return await self.http.get(f"/models/{model}/versions/{version}", ModelVersion)

    async def promote(self, model: str, version: int) -> Promotion:
        """Ask for promotion: the gates decide."""
        return await self.http.post(f"/models/{model}/versions/{version}/promotions", None, Promotion)

    async def promotion(self, promotion: str) -> Promotion:
        """One promotion."""
        return await self.http.get(f"/promotions/{promotion}", Promotion)

    async def promotions(self, model: str | None = None) -> list[Promotion]:
        """Promotions, newest first."""
        return (await self.http.get("/promotions", Page[Promotion], model=model)).items

    async def answer(self, promotion: str, *, approve: bool, reason: str) -> Promotion:
        """Approve or reject a promotion that waits for a person."""
        answer = Approval(approve=approve, reason=reason)
        return await self.http.put(f"/promotions/{promotion}/approval", answer, Promotion)

    async def rollback(
        self, model: str, *, reason: str, version: int | None = None, from_version: int | None = None
    ) -> Rollback:
        """Go back to a former champion: the one before the champion of now, unless another is named.

        `from_version` is the champion that was seen: refused if it is not any more.
        """
        request = RollbackRequest(version=version, reason=reason, from_version=from_version)
        return await self.http.post(f"/models/{model}/rollback", request, Rollback)

    async def champion(self, model: str, at: datetime | None = None) -> Champion:
        """Which version is production, or was at a time."""
        return await self.http.get(f"/models/{model}/champion", Champion, at=at.isoformat() if at else None)

    async def ledger(self, model: str | None = None) -> list[LedgerEntry]:
        """Decisions, newest first."""
        return (await self.http.get("/ledger", Page[LedgerEntry], model=model)).items

    async def verify_ledger(self) -> LedgerVerification:
        """Recompute the chain."""
        return await self.http.get("/ledger/verify", LedgerVerification)


class Inference(ServiceClient):
    """Deployments and the prediction log."""

    async def deployments(self) -> list[Deployment]:
        """All deployments."""
        return (await self.http.get("/deployments", Page[Deployment])).items

    async def deployment(self, name: str) -> Deployment:
        """One deployment."""
        return await self.http.get(f"/deployments/{name}", Deployment)

    async def prediction(self, prediction: str) -> PredictionRecord:
        """One logged prediction."""
        return await self.http.get(f"/predictions/{prediction}", PredictionRecord)

    async def flush(self, deployment: str) -> FlushResult:
        """Close and ship the open log segment."""
        return await self.http.post(f"/deployments/{deployment}/flush", None, FlushResult)


class Monitoring(ServiceClient):
    """Windows, drift, labels, quality, retrains."""

    async def monitor(self, loop: str) -> Monitor:
        """One monitor."""
        return await self.http.get(f"/monitors/{loop}", Monitor)

    async def windows(self, loop: str) -> list[Window]:
        """Windows, oldest first."""
        return (await self.http.get(f"/monitors/{loop}/windows", Page[Window])).items

    async def advance(self, loop: str, event_time: datetime) -> Monitor:
        """Say that all predictions before `event_time` are made."""
        return await self.http.post(f"/monitors/{loop}/watermark", WatermarkRequest(event_time=event_time), Monitor)

    async def label(self, request: LabelsRequest) -> LabelsResult:
        """Send labels."""
        return await self.http.post("/labels", request, LabelsResult)

    async def quality(self, loop: str) -> list[QualityWindow]:
        """Live quality per window."""
        response = await self.http.call("GET", f"/monitors/{loop}/quality")
        return parsed(response, TypeAdapter(list[QualityWindow]))

    async def retrains(self, loop: str) -> list[Retrain]:
        """Requested and withheld retrains, newest first."""
        return (await self.http.get(f"/monitors/{loop}/retrains", Page[Retrain])).items

    async def report(self, loop: str, start: datetime) -> bytes:
        """The HTML report of a window."""
        moment = start.isoformat().replace("+00:00", "Z")
        return (await self.http.call("GET", f"/monitors/{loop}/windows/{moment}/report")).content


class ModelServer:
    """KServe V1 on the model server of a deployment."""

    def __init__(self, find: Callable[[str], str], reach: Callable[[str], Transport], project: str) -> None:
        """`find`: base address by `project/deployment`."""
        self._find, self._reach, self._project = find, reach, project

    def url(self, model: str) -> str:
        """Base address of the server that answers for a model. Unreachable when there is none."""
        return self._find(f"{self._project}/{model}")

    async def predict(self, model: str, instances: list[dict[str, Any]]) -> dict[str, Any]:
        """`{"predictions": [...], "prediction_ids": [...], "model_version": n}` for rows of request columns."""
        prefix = "" if self._project == "default" else f"/projects/{self._project}"
        http = self._reach(self.url(model))
        body = TypeAdapter(dict[str, Any]).dump_json({"instances": instances})
        response = await http.call("POST", f"{prefix}/v1/models/{model}:predict", body=body, absolute=True)
        return parsed(response, TypeAdapter(dict[str, Any]))
