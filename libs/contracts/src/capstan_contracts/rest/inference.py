"""Inference: deployments and the prediction log. Predictions themselves go to the model server (KServe V1, V2).

GET  /deployments, /deployments/{deployment}                                       viewer
GET  /predictions/{prediction}                  PredictionRecord                   viewer
POST /deployments/{deployment}/flush            close and ship the open segment -> FlushResult   operator
PUT  /loops/{loop}?dry_run=                     LoopPart -> PartStatus             service

What model servers on a cluster call, all as a service:
GET  /deployments/{deployment}/packages/{digest}                 the package's bytes
PUT  /deployments/{deployment}/segments/{digest}?closed_at=      the segment's bytes -> ShippedSegment
PUT  /deployments/{deployment}/servers/{server}                  ServerReport -> ServerOrders

Model server (own port): GET /v1/models, /v1/models/{m}; POST /v1/models/{m}:predict; GET /v2, /v2/health/{live,ready},
/v2/models/{m}, /v2/models/{m}/ready; POST /v2/models/{m}/infer; for a project other than `default`, put
`/projects/{project}` before the path. Predict needs an operator.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from capstan_contracts.base import Instant, Lenient
from capstan_contracts.ids import Digest, Uuid7


class ModelService(Lenient):
    """The Kubernetes Service in front of a deployment's model servers: what a port-forward leads to."""

    namespace: str
    name: str
    port: int


class Deployment(Lenient):
    """What serves a loop. `degraded`: the version answers, but not from as many model servers as it should."""

    name: str
    loop: str
    state: Literal["waiting", "loading", "serving", "degraded", "failed"]
    revision: int
    model_version: int | None = None
    package: Digest | None = None
    ledger_sequence: int | None = None
    url: str = Field(description="base address for KServe clients; on a cluster one that pods can reach")
    service: ModelService | None = None
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
    outputs: dict[str, Any] = Field(description="output -> number, word, or a list of numbers (probabilities)")
    segment: str


class FlushResult(Lenient):
    """The segment that was closed, if there was one."""

    segment: Digest | None = None
    rows: int = 0


class ShippedSegment(Lenient):
    """A segment that inference control has stored and told of."""

    segment: Digest
    rows: int


class ServerReport(Lenient):
    """What a model server says each second. `records`: those of its log that control does not have yet."""

    state: Literal["starting", "serving", "draining", "drained"]
    revision: int
    model_version: int
    package: Digest
    records: int = Field(ge=0)
    flushed: int = Field(default=0, ge=0, description="the highest flush order that is carried out")
    flushed_segment: Digest | None = None
    flushed_rows: int = Field(default=0, ge=0)


class ServerOrders(Lenient):
    """The answer to a report. `flush`: close and ship the log if the number is higher than that of the last order."""

    flush: int = 0
