"""Inference: deployments and the prediction log. Predictions themselves go to the model server (KServe V1, V2).

GET  /deployments, /deployments/{deployment}                                       viewer
GET  /predictions/{prediction}                  PredictionRecord                   viewer
POST /deployments/{deployment}/flush            close and ship the open segment -> FlushResult   operator
PUT  /loops/{loop}?dry_run=                     LoopPart -> PartStatus             service

Model server (own port): GET /v1/models, /v1/models/{m}; POST /v1/models/{m}:predict; GET /v2, /v2/health/{live,ready},
/v2/models/{m}, /v2/models/{m}/ready; POST /v2/models/{m}/infer; for a project other than `default`, put
`/projects/{project}` before the path. Predict needs an operator.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from capstan_contracts.base import Instant, Lenient
from capstan_contracts.ids import Digest, Uuid7


class Deployment(Lenient):
    """What serves a loop."""

    name: str
    loop: str
    state: Literal["waiting", "loading", "serving", "failed"]
    revision: int
    model_version: int | None = None
    package: Digest | None = None
    ledger_sequence: int | None = None
    url: str = Field(description="base address for KServe clients")
    since: Instant | None = None
    message: str = ""


class PredictionRecord(Lenient):
    """One answered prediction, as it was logged before the answer left."""

    prediction_id: Uuid7
    deployment: str
    model_version: int
    package: Digest
    run: Uuid7 | None = None
    event_time: Instant
    answered_at: Instant
    entity: dict[str, Any]
    inputs: dict[str, Any]
    features: dict[str, Any] = Field(description="`<view>__<column>` -> value")
    feature_times: dict[str, Instant | None] = Field(description="view -> event time of the row that was read")
    feature_status: dict[str, str] = Field(default_factory=dict)
    view_versions: dict[str, str] = Field(default_factory=dict)
    prediction: float
    segment: str


class FlushResult(Lenient):
    """The segment that was closed, if there was one."""

    segment: Digest | None = None
    rows: int = 0
