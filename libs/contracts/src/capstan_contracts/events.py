"""Events: a CloudEvents 1.0 envelope and one payload model per type and version.

Types are past tense and carry their version. Producers are strict; consumers ignore unknown fields; within a
version only additions are made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from capstan_contracts.base import Instant, Lenient
from capstan_contracts.ids import Digest, Uuid7, uuid7
from capstan_contracts.work import State


class Envelope(Lenient):
    """CloudEvents 1.0, structured JSON mode (https://github.com/cloudevents/spec, section 3)."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    project: str
    traceparent: str | None = None
    data: dict[str, Any]


class Event(Lenient):
    """A payload. `TYPE` is its wire name, `SERVICE` the only one that may publish it."""

    TYPE: ClassVar[str]
    SERVICE: ClassVar[str]

    def envelope(self, *, project: str, subject: str, traceparent: str | None = None) -> Envelope:
        """Wrap this payload; `subject` is the URN of what the event is about."""
        return Envelope(
            id=uuid7(),
            source=f"capstan/{self.SERVICE}",
            type=self.TYPE,
            subject=subject,
            time=datetime.now(UTC),
            project=project,
            traceparent=traceparent,
            data=self.model_dump(mode="json"),
        )


class DatasetCommitted(Event):
    """A dataset has a new version; its manifest lists the unchanged files of the parent plus the new ones."""

    TYPE = "dataset.committed.v1"
    SERVICE = "ingestion"
    dataset: str
    version: Digest
    parent: Digest | None = None
    batch: Digest
    partition: str
    rows: int = Field(description="rows in the new batch")
    total_rows: int
    event_time_min: Instant | None = None
    event_time_max: Instant | None = None
    warnings: list[str] = Field(
        default_factory=list, description="keys of expectations of severity warning that failed"
    )


class BatchQuarantined(Event):
    """A batch was kept apart: nothing of it is in any version."""

    TYPE = "batch.quarantined.v1"
    SERVICE = "ingestion"
    dataset: str
    batch: Digest
    partition: str
    rows: int
    failed: list[str] = Field(
        description="keys of the critical expectations that failed, or the rule of the file check"
    )
    failing_rows: int


class FeaturesMaterialized(Event):
    """The online store of a view now holds the named dataset version."""

    TYPE = "features.materialized.v1"
    SERVICE = "feature-store"
    view: str
    view_version: Digest
    dataset: str
    dataset_version: Digest
    event_time_min: Instant | None = None
    event_time_max: Instant | None = None
    rows: int
    online_watermark: Instant | None = None


class RunStarted(Event):
    """A training run has its inputs pinned and starts."""

    TYPE = "run.started.v1"
    SERVICE = "training"
    run: Uuid7
    loop: str
    dataset: str
    dataset_version: Digest
    code: Digest
    reason: str


class RunFinished(Event):
    """A training run ended; with state `succeeded` it has a package and a pinned holdout."""

    TYPE = "run.finished.v1"
    SERVICE = "training"
    run: Uuid7
    loop: str
    state: State
    reason: str
    dataset: str
    dataset_version: Digest
    training_set: Digest | None = None
    code: Digest
    parameters: dict[str, Any] = Field(default_factory=dict)
    view_versions: dict[str, str] = Field(default_factory=dict)
    package: Digest | None = None
    holdout: Digest | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    promote: bool = Field(default=True, description="whether a registered version asks for promotion at once")
    error: str = ""


class VersionRegistered(Event):
    """A package became a model version."""

    TYPE = "version.registered.v1"
    SERVICE = "registry"
    model: str
    version: int
    package: Digest
    run: Uuid7


class GateFigure(Lenient):
    """One gate's judgement: figures, bound and a sentence.

    `passed` is None where it could not be judged; `not_judged` then says what that means for the promotion. `figures`
    have the shape that the gate's kind documents (capstan_contracts.kinds.gate_figures).
    """

    gate: str
    kind: str = ""
    passed: bool | None
    not_judged: Literal["allows", "refuses", "waits"] = Field(
        default="allows", description="what it means that `passed` is null; `waits`: a person has not answered yet"
    )
    observed: float | None = None
    bound: float | None = None
    figures: dict[str, Any] = Field(default_factory=dict)
    sentence: str

    @property
    def refuses(self) -> bool:
        """Whether the version may not become champion because of this gate."""
        return self.passed is False or (self.passed is None and self.not_judged == "refuses")

    @property
    def waits(self) -> bool:
        """Whether the promotion waits for somebody because of this gate."""
        return self.passed is None and self.not_judged == "waits"


class GatesDecided(Event):
    """Gates approved or refused a version, with every gate's figures."""

    TYPE = "gates.decided.v1"
    SERVICE = "registry"
    model: str
    version: int
    approved: bool
    gates: list[GateFigure]
    champion: int | None = None
    run: Uuid7 | None = None


class VersionPromoted(Event):
    """The champion alias moved; the ledger row is the truth."""

    TYPE = "version.promoted.v1"
    SERVICE = "registry"
    model: str
    from_version: int | None = None
    to_version: int
    package: Digest
    by: str
    ledger_sequence: int


class RolloutChanged(Event):
    """A deployment serves another version."""

    TYPE = "rollout.changed.v1"
    SERVICE = "inference"
    deployment: str
    revision: int
    change: Literal["promoted", "started", "stepped", "aborted", "rolled-back"]
    from_version: int | None = None
    to_version: int
    figures: dict[str, Any] = Field(default_factory=dict)


class PredictionsLogged(Event):
    """A closed log segment is in the object store (never one event per prediction)."""

    TYPE = "predictions.logged.v1"
    SERVICE = "inference"
    deployment: str
    segment: Digest
    records: int
    rows: int
    first_event_time: Instant | None = None
    last_event_time: Instant | None = None
    closed_at: Instant


class LabelsReceived(Event):
    """Labels were joined to predictions."""

    TYPE = "labels.received.v1"
    SERVICE = "monitoring"
    loop: str
    source: str
    labels: int
    joined: int
    unlabelled: int = Field(description="rows that will never get a label (cancelled, say)")


class DriftFigure(Lenient):
    """Drift of one column in one window: `effect` in the statistic's `unit`, and the `floor` it is held against."""

    column: str
    role: Literal["feature", "prediction", "label"]
    statistic: str
    unit: str = ""
    effect: float
    floor: float | None = None
    p_value: float
    adjusted_p: float
    seasonal: bool = False
    drifted: bool

    @property
    def strength(self) -> float:
        """The effect in floors, which compares across statistics of different scales."""
        return self.effect / self.floor if self.floor else self.effect


class DriftDetected(Event):
    """Drift passed correction, effect floor and persistence."""

    TYPE = "drift.detected.v1"
    SERVICE = "monitoring"
    loop: str
    model_version: int
    window_start: Instant
    window_end: Instant
    rows: int
    columns: list[DriftFigure]
    report: str | None = None


class DriftCleared(Event):
    """The alarm of a monitor is over."""

    TYPE = "drift.cleared.v1"
    SERVICE = "monitoring"
    loop: str
    model_version: int
    window_start: Instant
    window_end: Instant


class QualityDegraded(Event):
    """Live quality misses its bound with confidence: `low` to `high` holds at all looks together."""

    TYPE = "quality.degraded.v1"
    SERVICE = "monitoring"
    loop: str
    model_version: int
    window_start: Instant
    window_end: Instant
    metric: str
    value: float
    low: float
    high: float
    bound: float


class RetrainRequested(Event):
    """Monitoring asks for a run on the dataset version whose labels are complete."""

    TYPE = "retrain.requested.v1"
    SERVICE = "monitoring"
    request: Uuid7
    loop: str
    reason: str
    dataset: str
    dataset_version: Digest
    evidence: dict[str, Any] = Field(default_factory=dict)


class RetrainWithheld(Event):
    """The retrain guard said no, and why."""

    TYPE = "retrain.withheld.v1"
    SERVICE = "monitoring"
    loop: str
    reason: str
    why: str
    evidence: dict[str, Any] = Field(default_factory=dict)


EVENTS: Final[dict[str, type[Event]]] = {
    event.TYPE: event
    for event in (
        DatasetCommitted,
        BatchQuarantined,
        FeaturesMaterialized,
        RunStarted,
        RunFinished,
        VersionRegistered,
        GatesDecided,
        VersionPromoted,
        RolloutChanged,
        PredictionsLogged,
        LabelsReceived,
        DriftDetected,
        DriftCleared,
        QualityDegraded,
        RetrainRequested,
        RetrainWithheld,
    )
}


def payload(envelope: Envelope) -> Event:
    """The typed payload of an envelope; ValueError for an unknown type or a payload that does not fit."""
    model = EVENTS.get(envelope.type)
    if model is None:
        raise ValueError(f"unknown event type {envelope.type!r}")
    return model.model_validate(envelope.data)


def bus_subject(project: str, event_type: str) -> str:
    """The subject on the bus: `capstan.<project>.<type>`."""
    return f"capstan.{project}.{event_type}"
