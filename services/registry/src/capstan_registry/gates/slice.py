"""No slice drops against the champion, on rows that neither has learned."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gate_figures import SliceFigure, SliceFigures, SliceSkipped
from capstan_contracts.kinds.gates import SliceGate
from capstan_evaluation.arrays import Codes
from capstan_evaluation.kinds import find
from capstan_registry.gates.evidence.contest import Rival
from capstan_registry.gates.evidence.evidence import Evidence, Need
from capstan_registry.gates.metric_value import metric_value
from capstan_registry.jobs.scoring import Holdout, Unusable


class SliceKind:
    """Refuses when a slice with enough rows drops by more than `max_drop`. Without a champion nothing is judged."""

    spec = SliceGate

    def needs(self, spec: SliceGate) -> frozenset[Need]:
        """Both scores and the labels."""
        return frozenset((Need.HOLDOUT, Need.CANDIDATE, Need.CHAMPION))

    def columns(self, spec: SliceGate) -> frozenset[str]:
        """The column of the slices."""
        return frozenset((spec.slice,))

    def judge(self, evidence: Evidence, spec: SliceGate) -> GateFigure:
        """`observed` is the largest drop, `bound` the largest that is allowed; figures as in SliceFigures."""
        rival = evidence.rival
        overall = metric_value(find(spec.metric), evidence.candidate if rival is None else rival.candidate)
        slices, skipped = _compare(evidence, rival, spec)
        figures: SliceFigures = {"slices": slices, "not_judged": skipped, "overall": overall}
        tail = f" {len(skipped)} slices were not judged." if skipped else ""
        if rival is None:
            return _not_judged(
                spec, figures, f"Not judged: there is no champion yet, so no slice can have dropped.{tail}"
            )
        if not slices:
            return _not_judged(spec, figures, f"No slice of {spec.slice!r} could be judged.{tail}")
        worst = max(slices, key=lambda judged: judged["drop"])
        return GateFigure(
            gate=spec.title,
            kind=spec.kind,
            passed=worst["drop"] <= spec.max_drop,
            observed=worst["drop"],
            bound=spec.max_drop,
            figures=dict(figures),
            sentence=(
                f"The largest drop of {spec.metric} against the champion on the same rows is {worst['drop']:+.4f}, for "
                f"{spec.slice} = {worst['value']!r} ({worst['rows']} rows); at most {spec.max_drop:g} is allowed.{tail}"
            ),
        )


def _not_judged(spec: SliceGate, figures: SliceFigures, sentence: str) -> GateFigure:
    """Too few rows, or nothing to compare with, is no reason to refuse."""
    return GateFigure(
        gate=spec.title,
        kind=spec.kind,
        passed=None,
        not_judged="allows",
        bound=spec.max_drop,
        figures=dict(figures),
        sentence=sentence,
    )


def _compare(evidence: Evidence, rival: Rival | None, spec: SliceGate) -> tuple[list[SliceFigure], list[SliceSkipped]]:
    metric, champion = find(spec.metric), None if rival is None else rival.champion
    candidate, holdout = (evidence.candidate, evidence.holdout) if rival is None else (rival.candidate, rival.holdout)
    slices: list[SliceFigure] = []
    skipped: list[SliceSkipped] = []
    for value, rows in _slices(holdout, spec.slice):
        enough = len(rows) >= spec.min_rows
        new = metric.value(candidate.take(rows)) if enough else None
        old = None if champion is None or new is None else metric.value(champion.take(rows))
        if new is None or (champion is not None and old is None):
            why = f"{spec.metric} is not defined" if enough else f"fewer than {spec.min_rows} rows"
            skipped.append({"value": value, "rows": len(rows), "why": why})
            continue
        judged: SliceFigure = {"value": value, "rows": len(rows), "candidate": new}
        if old is not None:
            judged["champion"], judged["drop"] = old, metric.oriented(old) - metric.oriented(new)
        slices.append(judged)
    return slices, skipped


def _slices(holdout: Holdout, column: str) -> list[tuple[str, Codes]]:
    """(value, row numbers) in the order of the values; null is a slice of its own."""
    if column not in holdout.table.column_names:
        raise Unusable(f"the holdout lacks the column {column!r} of the slices")
    encoded = pc.dictionary_encode(holdout.table.column(column), null_encoding="encode").combine_chunks()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    words = ["null" if value is None else str(value) for value in encoded.dictionary.to_pylist()]
    slices = [(word, np.flatnonzero(codes == code)) for code, word in enumerate(words)]
    return sorted(slices, key=lambda entry: entry[0])


SLICE = SliceKind()
