"""Monitoring: windows, drift, labels, live quality, reports, retrain guard.

GET  /monitors, /monitors/{loop}                                                   viewer
GET  /monitors/{loop}/windows                   Page[Window], oldest first         viewer
POST /monitors/{loop}/watermark                 WatermarkRequest -> Monitor        operator
POST /labels                                    LabelsRequest -> LabelsResult      operator
GET  /monitors/{loop}/quality                   list of QualityWindow              viewer
GET  /monitors/{loop}/windows/{start}/report    text/html (Evidently)              viewer
GET  /monitors/{loop}/retrains                  Page[Retrain]                      viewer
PUT  /loops/{loop}?dry_run=                     LoopPart -> PartStatus             service
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from capstan_contracts.base import Instant, Lenient, Wire
from capstan_contracts.events import DriftFigure
from capstan_contracts.ids import Digest, Uuid7


class Monitor(Lenient):
    """The monitor of a loop."""

    loop: str
    model_version: int | None = None
    watermark: Instant | None = Field(default=None, description="no earlier predictions are awaited")
    alarm: bool = False
    predictions: int = 0
    labelled: int = 0
    unlabelled: int = 0
    waiting: int = Field(
        default=0, description="predictions of packages that no event has told of yet; taken in when one does"
    )


class WatermarkRequest(Wire):
    """All predictions with an event time before this have been made: windows that end by then are closed."""

    event_time: Instant


class Window(Lenient):
    """One window of event time, judged against the baseline of the version that served it."""

    loop: str
    start: Instant
    end: Instant
    model_version: int
    rows: int
    state: Literal["open", "evaluating", "quiet", "suspect", "drifted", "too-few-rows", "failed"]
    columns: list[DriftFigure] = Field(default_factory=list)
    report: str | None = Field(default=None, description="path of the HTML report, when made")
    message: str = ""


class Label(Wire):
    """One true outcome, by prediction id or by the dataset's keys."""

    prediction_id: Uuid7 | None = None
    keys: dict[str, Any] | None = None
    value: float


class LabelsRequest(Wire):
    """Labels from outside the dataset."""

    loop: str
    labels: list[Label] = Field(min_length=1, max_length=100_000)


class LabelsResult(Lenient):
    """What became of them."""

    received: int
    joined: int
    unknown: int


class QualityWindow(Lenient):
    """Live quality of one window with the metric's 95 % confidence interval of one look."""

    start: Instant
    end: Instant
    model_version: int
    metric: str
    rows: int
    labelled: int
    coverage: float
    value: float | None
    low: float | None
    high: float | None


class Retrain(Lenient):
    """A retrain: waiting for labels, requested, or withheld; then what became of it."""

    id: Uuid7
    loop: str
    state: Literal["waiting", "requested", "withheld", "running", "promoted", "refused", "failed"]
    reason: str
    why: str = ""
    dataset_version: Digest | None = None
    run: Uuid7 | None = None
    at: Instant
    event_time: Instant | None = None
    evidence: dict[str, Any] = Field(default_factory=dict)
