"""Is a candidate as good as a champion? Non-inferiority with a stated margin and confidence, and a third answer.

The candidate is as good when the one-sided lower bound of candidate - champion, oriented so that more is better, is at
least -margin: it is then shown not to be worse by more than the margin. Not being shown to be worse is no evidence for
it: of few rows nothing can be shown, and that is an answer of its own. Source of the rule: Committee for Proprietary
Medicinal Products (2000), "Points to consider on switching between superiority and non-inferiority", sections IV and V.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Final

from capstan_evaluation.compare import Comparison, compare
from capstan_evaluation.errors import Unsuitable
from capstan_evaluation.metric import Metric
from capstan_evaluation.resampling import RESAMPLES, SEED, Progress, silent
from capstan_evaluation.sample import Sample

POWER: Final = 0.8
"""How often a candidate that is equal to the champion is to pass with `rows_for_equal`."""
LEAST: Final = 10
"""Items (of the rarer class, where there are two) under which no bound is believed, whatever it says."""

MOST: Final = 10**12
"""Rows beyond which no number is named."""


class Answer(StrEnum):
    """What the rows show."""

    BETTER = "better"
    AS_GOOD = "as good"
    WORSE = "worse"
    TOO_FEW_ROWS = "too few rows to tell"


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """All differences are candidate - champion, in the metric's unit, oriented so that more is better.

    `rows_needed`: with this many rows the answer would be clear if the difference stayed the one seen here; None where
    it is clear, or it would take more than MOST. `rows_for_equal`: with this many a candidate that is equal to the
    champion passes in POWER of all cases, as far as this champion goes; None where it would take more than MOST.
    """

    answer: Answer
    difference: float
    lower: float
    upper: float
    margin: float
    confidence: float
    standard_error: float
    rows: int
    rows_needed: int | None
    rows_for_equal: int | None


@dataclass(frozen=True, slots=True)
class Match:
    """A metric of candidate and champion on the same rows, in its unit, and what the rows show.

    `undefined`: resamples in which the metric is not defined.
    """

    candidate: float
    champion: float
    result: NonInferiority
    undefined: int


def match(
    metric: Metric,
    candidate: Sample,
    champion: Sample,
    *,
    margin: float | None,
    confidence: float,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    progress: Progress = silent,
) -> Match:
    """Compare by the bootstrap and answer. A margin of None is the metric's own, of this champion.

    Unsuitable where the metric is not defined on the rows, or in most resamples of them; InvalidSample.
    """
    new, old = metric.value(candidate), metric.value(champion)
    if new is None or old is None:
        raise Unsuitable(metric.why_undefined(candidate if new is None else champion))
    comparison = compare(metric, candidate, champion, resamples=resamples, seed=seed, progress=progress)
    if 2 * comparison.undefined > resamples:
        raise Unsuitable(f"{metric.name} is not defined in {comparison.undefined} of {resamples} resamples")
    result = as_good(
        comparison,
        candidate,
        difference=metric.oriented(new) - metric.oriented(old),
        margin=metric.margin.of(old) if margin is None else margin,
        confidence=confidence,
    )
    return Match(new, old, result, comparison.undefined)


def behind(metric: Metric, candidate: Sample, champion: Sample) -> float | None:
    """By how much the candidate is worse, in the metric's unit; None where that is not defined."""
    new, old = metric.value(candidate), metric.value(champion)
    return None if new is None or old is None else metric.oriented(old) - metric.oriented(new)


def passes(now: Answer, before: Answer | None, *, tie: bool) -> bool | None:
    """What follows from the answers against the champion and against the best one before it (None: there is none).

    Better than the champion passes, whatever was before. `tie` says what as good as both does. None where there are
    too few rows to tell.
    """
    if now is Answer.BETTER:
        return True
    answers = (now,) if before is None else (now, before)
    if Answer.WORSE in answers:
        return False
    return None if Answer.TOO_FEW_ROWS in answers else tie


def as_good(
    comparison: Comparison, sample: Sample, *, difference: float, margin: float, confidence: float
) -> NonInferiority:
    """Answer from resampled differences. `sample` are the items compared on. ValueError for a margin under 0.

    Unsuitable when the metric is defined in no resample.
    """
    if margin < 0:
        raise ValueError(f"a margin is not negative, and {margin} is")
    items = sample.rarest
    believed = max(items, 2)
    lower, upper = comparison.lower_bound(confidence, believed), comparison.upper_bound(confidence, believed)
    answer = _answer(lower, upper, margin) if items >= LEAST else Answer.TOO_FEW_ROWS
    error = comparison.standard_error
    return NonInferiority(
        answer=answer,
        difference=difference,
        lower=lower,
        upper=upper,
        margin=margin,
        confidence=confidence,
        standard_error=error,
        rows=sample.rows,
        rows_needed=_needed(sample, difference + margin, error, confidence) if answer is Answer.TOO_FEW_ROWS else None,
        rows_for_equal=_rows(sample.rows, _z(confidence) + _z(POWER), error, margin),
    )


def _answer(lower: float, upper: float, margin: float) -> Answer:
    if lower >= -margin:
        return Answer.BETTER if lower > 0 else Answer.AS_GOOD
    return Answer.WORSE if upper < -margin else Answer.TOO_FEW_ROWS


def _needed(sample: Sample, distance: float, error: float, confidence: float) -> int | None:
    """More than there are, and enough for LEAST items of the rarer class at the share that was seen."""
    least = math.ceil(sample.rows * LEAST / sample.rarest) if sample.rarest else None
    clear = _rows(sample.rows, _z(confidence), error, abs(distance))
    if least is None or clear is None:
        return None
    return max(clear, least, sample.rows + 1)


def _rows(rows: int, deviations: float, error: float, distance: float) -> int | None:
    """Rows at which so many standard errors are as long as the distance: the error falls with the root of the rows.

    None above MOST: no figure for anybody, and none that a float holds.
    """
    if distance <= 0:
        return None
    ratio = deviations * error / distance
    return math.ceil(rows * ratio**2) if ratio <= math.sqrt(MOST / rows) else None


def _z(share: float) -> float:
    return NormalDist().inv_cdf(share)
