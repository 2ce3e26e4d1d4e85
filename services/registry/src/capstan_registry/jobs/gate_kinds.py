"""The gates by name: each takes the evidence and its specification and answers one figure. New kinds register here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow.compute as pc

from capstan_contracts.events import GateFigure
from capstan_packages.models import ModelPackage
from capstan_registry.domain import gates
from capstan_registry.jobs.bootstrap import compare
from capstan_registry.jobs.metrics import METRICS, Floats, oriented
from capstan_registry.jobs.scoring import Holdout, Unusable

T = TypeVar("T")


@dataclass(frozen=True)
class Evidence:
    """What gates judge by. Access to what is not there raises `Unusable` with the reason."""

    package_: ModelPackage | Unusable
    holdout_: Holdout | Unusable
    candidate_: Floats | Unusable
    champion_: Floats | Unusable | None
    resamples: int
    progress: Callable[[int, int, str], None]

    @property
    def package(self) -> ModelPackage:
        """The candidate's package."""
        return _there(self.package_)

    @property
    def holdout(self) -> Holdout:
        """The pinned holdout."""
        return _there(self.holdout_)

    @property
    def candidate(self) -> Floats:
        """The candidate's scores."""
        return _there(self.candidate_)

    @property
    def champion(self) -> Floats | None:
        """The champion's scores; None while there is no champion."""
        return None if self.champion_ is None else _there(self.champion_)


def _there(value: T | Unusable) -> T:
    if isinstance(value, Unusable):
        raise value
    return value


GateKind = Callable[[Evidence, str, dict[str, Any]], GateFigure]


def judge(evidence: Evidence, gate: dict[str, Any]) -> GateFigure:
    """One gate's figure. What cannot be computed fails, with the reason."""
    kind = GATE_KINDS.get(gate["kind"])
    if kind is None:
        known = ", ".join(sorted(GATE_KINDS))
        return GateFigure(
            gate=gate["name"], passed=False, sentence=f"unknown gate kind {gate['kind']!r}; known: {known}"
        )
    try:
        return kind(evidence, gate["name"], gate["spec"])
    except Unusable as reason:
        return GateFigure(gate=gate["name"], passed=False, sentence=f"Not passed: {reason}.")


def metric_gate(evidence: Evidence, name: str, spec: dict[str, Any]) -> GateFigure:
    """A metric on the holdout reaches its bound."""
    metric, low, high = spec["metric"], spec["min"], spec["max"]
    candidate, holdout = evidence.candidate, evidence.holdout
    value = _value(metric, holdout.labels, candidate)
    bound = low if low is not None else high
    passed = value >= bound if low is not None else value <= bound
    word = "at least" if low is not None else "at most"
    return GateFigure(
        gate=name,
        passed=passed,
        observed=value,
        bound=bound,
        figures={"rows": holdout.rows},
        sentence=f"{metric} is {value:.4f} on {holdout.rows} rows of the holdout; {word} {bound:g} is asked for.",
    )


def champion_gate(evidence: Evidence, name: str, spec: dict[str, Any]) -> GateFigure:
    """Refuses when the candidate is worse than the champion by more than the margin, with the stated confidence."""
    rule = spec["no_worse_than_champion"]
    metric, confidence, margin = rule["metric"], rule["confidence"], rule["margin"]
    candidate, champion, holdout = evidence.candidate, evidence.champion, evidence.holdout
    mine = _value(metric, holdout.labels, candidate)
    if champion is None:
        sentence = "There is no champion yet, so there is nothing to be worse than."
        return GateFigure(gate=name, passed=True, observed=mine, figures={"rows": holdout.rows}, sentence=sentence)
    theirs = _value(metric, holdout.labels, champion)
    report = evidence.progress
    found = compare(
        metric,
        holdout.labels,
        candidate,
        champion,
        resamples=evidence.resamples,
        progress=lambda done, total: report(done, total, "resampling"),
    )
    if 2 * found.undefined > evidence.resamples:
        raise Unusable(f"{metric} is not defined in {found.undefined} of {evidence.resamples} resamples")
    upper = found.upper_bound(confidence)
    passed = upper >= -margin
    return GateFigure(
        gate=name,
        passed=passed,
        observed=mine,
        bound=theirs,
        figures={
            "rows": holdout.rows,
            "champion": theirs,
            "difference": oriented(metric, mine) - oriented(metric, theirs),
            "lower": found.lower_bound(confidence),
            "upper": upper,
            "confidence": confidence,
            "margin": margin,
            "resamples": evidence.resamples,
            "undefined_resamples": found.undefined,
            "method": "paired bootstrap, one-sided percentile bound (Efron and Tibshirani 1993)",
        },
        sentence=(
            f"{metric} is {mine:.4f}, the champion's is {theirs:.4f} on the same {holdout.rows} rows. "
            f"With {confidence:.0%} confidence candidate - champion, more being better, is at most {upper:+.4f} "
            f"(paired bootstrap, {evidence.resamples} resamples): "
            + ("not " if passed else "")
            + f"worse than the champion by more than {margin:g}."
        ),
    )


def slice_gate(evidence: Evidence, name: str, spec: dict[str, Any]) -> GateFigure:
    """No slice drops by more than `max_drop` against the champion on its rows; not judged without a champion."""
    metric, limit, least = spec["metric"], spec["max_drop"], spec["min_rows"]
    candidate, champion, holdout = evidence.candidate, evidence.champion, evidence.holdout
    overall = _value(metric, holdout.labels, candidate)
    slices: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    for value, rows in _slices(holdout, spec["slice"]):
        mine = METRICS[metric](holdout.labels[rows], candidate[rows]) if len(rows) >= least else None
        if mine is None:
            why = f"fewer than {least} rows" if len(rows) < least else f"{metric} is not defined"
            skipped.append({"value": value, "rows": len(rows), "why": why})
            continue
        slices.append({"value": value, "rows": len(rows), "candidate": mine})
        if champion is not None:
            theirs = _value(metric, holdout.labels[rows], champion[rows])
            slices[-1] |= {"champion": theirs, "drop": oriented(metric, theirs) - oriented(metric, mine)}
    figures = {"slices": slices, "not_judged": skipped, "overall": overall}
    tail = f" {len(skipped)} slices were not judged." if skipped else ""
    if champion is None:
        sentence = f"Not judged: there is no champion yet, so no slice can have dropped.{tail}"
        return GateFigure(gate=name, passed=None, bound=limit, figures=figures, sentence=sentence)
    if not slices:
        sentence = f"No slice of {spec['slice']!r} could be judged.{tail}"
        return GateFigure(gate=name, passed=None, bound=limit, figures=figures, sentence=sentence)
    worst = max(slices, key=lambda found: found["drop"])
    return GateFigure(
        gate=name,
        passed=worst["drop"] <= limit,
        observed=worst["drop"],
        bound=limit,
        figures=figures,
        sentence=(
            f"The largest drop of {metric} against the champion on the same rows is {worst['drop']:+.4f}, for "
            f"{spec['slice']} = {worst['value']!r} ({worst['rows']} rows); at most {limit:g} is allowed.{tail}"
        ),
    )


def format_gate(evidence: Evidence, name: str, spec: dict[str, Any]) -> GateFigure:
    """The package holds native formats only: reading it refuses everything else."""
    engine = evidence.package.header.engine
    sentence = f"The package holds a native {engine} model and JSON; nothing in it runs code when it is loaded."
    return GateFigure(gate=name, passed=True, sentence=sentence)


def _value(metric: str, labels: Floats, scores: Floats) -> float:
    if scores.ndim != 1 or not np.isin(labels, (0.0, 1.0)).all():
        raise Unusable(f"{metric} is a metric of binary models, and the package is of another task")
    value = METRICS[metric](labels, scores)
    if value is None:
        raise Unusable(f"{metric} is not defined: the label has one class only in {len(labels)} rows")
    return value


def _slices(holdout: Holdout, column: str) -> list[tuple[str, Any]]:
    """(value, row numbers) in the order of the values; null is a slice of its own."""
    if column not in holdout.table.column_names:
        raise Unusable(f"the holdout lacks the column {column!r} of the slices")
    encoded = pc.dictionary_encode(holdout.table.column(column), null_encoding="encode").combine_chunks()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    words = ["null" if value is None else str(value) for value in encoded.dictionary.to_pylist()]
    found = [(word, np.flatnonzero(codes == code)) for code, word in enumerate(words)]
    return sorted(found, key=lambda entry: entry[0])


GATE_KINDS: Final[dict[str, GateKind]] = {
    gates.METRIC: metric_gate,
    gates.NO_WORSE_THAN_CHAMPION: champion_gate,
    gates.SLICE: slice_gate,
    gates.FORMAT: format_gate,
}
