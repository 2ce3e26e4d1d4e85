"""Training: code archives and runs.

PUT  /code/{digest}                             tar.gz bytes -> CodeArchive        admin   (a job compiles it)
GET  /code/{digest}                                                                viewer
POST /runs                                      RunRequest -> 202 Run              operator (Idempotency-Key)
GET  /runs, /runs/{run}                                                            viewer
GET  /runs/{run}/logs?follow=                   text/event-stream, or text/plain   viewer
POST /runs/{run}/cancel                         -> Run                             operator
PUT  /loops/{loop}?dry_run=                     LoopPart -> PartStatus             service
GET  /runs/{run}/pod/order                      -> PodOrder                        the run's own token
GET  /runs/{run}/pod/inputs/{name}              bytes of `ir` or `training-set`    the run's own token
PUT  /runs/{run}/pod/outputs/{name}/{digest}    bytes of `package` or `holdout`    the run's own token
PUT  /runs/{run}/pod/outcome                    PodOutcome                         the run's own token
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from capstan_contracts.base import Instant, Lenient, Wire
from capstan_contracts.errors import FieldError
from capstan_contracts.ids import Digest, Name, Uuid7, Version
from capstan_contracts.work import WorkStatus


class CodeArchive(WorkStatus):
    """A recipe folder, compiled to KFP's IR YAML."""

    digest: Digest
    pipelines: dict[str, Digest] = Field(default_factory=dict, description="`file.py:function` -> IR object")


class RunRequest(Wire):
    """Start a run by hand. Parameters override the loop's; versions default to the newest."""

    loop: Name
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)
    dataset_version: Version | None = None
    promote: bool = True


class Run(WorkStatus):
    """One training run with its pinned inputs."""

    id: Uuid7
    loop: str
    reason: Literal["manual", "first", "drift", "dataset"]
    requested_by: str
    stage: Literal["queued", "features", "pipeline", "publish", "done"] = "queued"
    dataset: str
    dataset_version: Digest
    training_set: Digest | None = None
    view_versions: dict[str, Digest] = Field(default_factory=dict)
    dataset_versions: dict[str, Digest] = Field(default_factory=dict)
    code: Digest
    parameters: dict[str, Any] = Field(default_factory=dict)
    seed: int
    package: Digest | None = None
    holdout: Digest | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    mlflow_run: str | None = None
    retrain_request: Uuid7 | None = None
    created_at: Instant
    started_at: Instant | None = None
    finished_at: Instant | None = None


class PodOrder(Lenient):
    """What a run's pod has to do. `inputs` are the digests of the files to fetch, by name."""

    arguments: dict[str, Any]
    wants_training_set: bool
    label: str
    threads: int
    inputs: dict[Literal["ir", "training-set"], Digest]


class PodOutcome(Wire):
    """How a pipeline ended in its pod. `made` counts once both outputs have been handed in."""

    kind: Literal["made", "failed", "refused", "out-of-memory"]
    detail: str = Field(default="", max_length=20_000)
    code: str = ""
    errors: list[FieldError] = Field(default_factory=list)
    metrics: dict[str, float] = Field(default_factory=dict)
