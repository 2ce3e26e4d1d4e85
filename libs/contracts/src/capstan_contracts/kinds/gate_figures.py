"""The shape of `GateFigure.figures`, one per kind of gate. A kind from outside documents its own.

Every figure of a decision that scored the holdout has `evaluation` besides: the digest of the item-level scores.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict


class MetricFigures(TypedDict):
    """`observed` and `bound` are in the metric's unit."""

    rows: int
    """Rows of the holdout."""


class SeenRows(TypedDict):
    """What a version had learned, as far as it is known: `known` is false when nobody can tell, `why` says why."""

    version: int
    known: bool
    learned_until: NotRequired[str]
    """The last event time that it learned from (ISO 8601), where the rows have one."""
    why: NotRequired[str]


class Compared(TypedDict):
    """The candidate against one champion, on the rows that neither has learned.

    `difference`, `lower`, `upper` and `standard_error` are of candidate - champion, oriented so that more is better.
    `answer`: `better`, `as good`, `worse`, `too few rows to tell`. `rows_needed`: rows at which the answer is clear if
    the difference stays as it is; `rows_for_equal`: rows at which an equal candidate passes this
    comparison, alone, in 80 of 100 cases.
    """

    version: int
    rows: int
    rows_from: NotRequired[str]
    rows_until: NotRequired[str]
    left_out: int
    """Rows of the candidate's own holdout that one of the two has learned."""
    from_others: int
    """Rows that come from the holdouts of champions."""
    not_joined: NotRequired[list[str]]
    """Holdouts of champions whose rows could not be used, a sentence each."""
    seen: list[SeenRows]
    candidate: float
    champion: float
    difference: float
    lower: float
    upper: float
    standard_error: float
    margin: float
    confidence: float
    answer: str
    rows_needed: NotRequired[int]
    rows_for_equal: NotRequired[int]
    resamples: int
    undefined_resamples: int
    method: str


class ChampionFigures(TypedDict):
    """`observed` is the candidate's metric, `bound` the champion's, on the rows that were compared on.

    Only `rows` is there while there is no champion. `against_best` is the same against the best of the former champions
    that were looked at (`former`); `not_compared` says of the others why not.
    """

    rows: int
    tie_break: NotRequired[str]
    against_champion: NotRequired[Compared]
    former: NotRequired[list[int]]
    against_best: NotRequired[Compared]
    not_compared: NotRequired[list[str]]


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
