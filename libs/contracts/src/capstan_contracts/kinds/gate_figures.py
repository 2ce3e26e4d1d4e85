"""The shape of `GateFigure.figures`, one per kind of gate. A kind from outside documents its own.

Every figure of a decision that scored the holdout has `evaluation` besides: the digest of the item-level scores.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict


class MetricFigures(TypedDict):
    """`observed` and `bound` are in the metric's unit."""

    rows: int
    """Rows of the holdout."""


class ChampionFigures(TypedDict):
    """`observed` is the candidate's metric, `bound` the champion's. Only `rows` is there while there is no champion.

    `difference`, `lower` and `upper` are candidate - champion, oriented so that more is better.
    """

    rows: int
    champion: NotRequired[float]
    difference: NotRequired[float]
    lower: NotRequired[float]
    upper: NotRequired[float]
    confidence: NotRequired[float]
    margin: NotRequired[float]
    resamples: NotRequired[int]
    undefined_resamples: NotRequired[int]
    method: NotRequired[str]


class SliceFigure(TypedDict):
    """One judged slice: metrics on its rows; `champion` and `drop` are missing while there is no champion."""

    value: str
    rows: int
    candidate: float
    champion: NotRequired[float]
    drop: NotRequired[float]


class SliceSkipped(TypedDict):
    """A slice that was not judged."""

    value: str
    rows: int
    why: str


class SliceFigures(TypedDict):
    """`observed` is the largest drop, oriented so that more is worse; `bound` the largest that is allowed."""

    slices: list[SliceFigure]
    not_judged: list[SliceSkipped]
    overall: float


class LatencyFigures(TypedDict):
    """Milliseconds per single-row prediction, preprocessing included.

    `observed` and `bound` are those of p99 if it is bound, else of p50.
    """

    p50_ms: float
    p99_ms: float
    predictions: int
    warm_up: int
    rows: int
    """Different rows of the holdout that were asked in turn."""
    machine: str


class SizeFigures(TypedDict):
    """`observed` and `bound` are bytes."""

    bytes: int


class SchemaFigures(TypedDict):
    """Inputs that fit, and a sentence for each that does not."""

    inputs: int
    broken: list[str]


class ApprovalFigures(TypedDict):
    """Who asked and, once somebody has answered, who that was, when (ISO 8601) and why."""

    requested_by: str
    by: NotRequired[str]
    at: NotRequired[str]
    reason: NotRequired[str]
