"""Gross failures of one column of a package, at windows that are small beside the baseline: each is an alarm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from capstan_contracts.loop import DriftSpec
from capstan_formats.sketches import CategorySketch, NumericSketch
from capstan_monitoring.domain.drift import ColumnStatistic, judge_columns, strongest, verdict
from capstan_monitoring.jobs.measure import measure

Values = Any
Case = Callable[[int, int], tuple[Values, Values]]
RANDOM = np.random.default_rng(1)


def judged(before: Values, now: Values, policy: DriftSpec, beside: int = 20) -> tuple[str, str]:
    """Verdict and the strongest figure of a window; other columns, as many as `beside`, have not changed."""
    numeric = isinstance(before, np.ndarray)
    baseline = NumericSketch.build(before) if numeric else CategorySketch.build(before)
    window = baseline.empty_like()
    window.update(now)
    found = [ColumnStatistic(column="it", role="feature", **one) for one in measure(baseline, window, policy)]
    found += [
        ColumnStatistic(f"quiet{n}", "feature", "psi", "nats", 0.0, 0.2, p)
        for n, p in enumerate(np.linspace(0.02, 1, beside))
    ]
    figures = judge_columns(found, policy)
    return verdict(figures, len(now), [], policy)[0], strongest(figures, 1)


def normal(rows: int, mean: float = 0.0) -> Values:
    return RANDOM.normal(mean, 1, rows)


def part(rows: int, share: float, changed: Values, kept: Values) -> Values:
    """The first rows changed, the others kept."""
    whole = list(changed[: int(rows * share)]) + list(kept[int(rows * share) :])
    return np.array(whole, dtype=np.float64) if isinstance(kept, np.ndarray) else whole


def nulls(rows: int, share: float) -> Values:
    return part(rows, share, np.full(rows, np.nan), normal(rows))


CASES: dict[str, Case] = {
    "a constant changes": lambda big, few: (np.ones(big), np.full(few, 2.0)),
    "a flag that was always 0 is always 1": lambda big, few: (np.zeros(big), np.ones(few)),
    "a flag that was always 0 is 1 in a tenth": lambda big, few: (
        np.zeros(big), part(few, 0.1, np.ones(few), np.zeros(few)),
    ),
    "the only word is another": lambda big, few: (["A"] * big, ["B"] * few),
    "the only word is another in a third": lambda big, few: (["A"] * big, part(few, 0.3, ["B"] * few, ["A"] * few)),
    "a tenth of the words was never seen": lambda big, few: (
        list("ABCD") * (big // 4), part(few, 0.1, ["Z"] * few, list("ABCD") * (few // 4 + 1))[:few],
    ),
    "a tenth is missing": lambda big, few: (normal(big), nulls(few, 0.1)),
    "a tenth of a constant is missing": lambda big, few: (
        np.ones(big), part(few, 0.1, np.full(few, np.nan), np.ones(few)),
    ),
    "a tenth is a thousand times as large": lambda big, few: (
        normal(big, 10), part(few, 0.1, 1000 * normal(few, 10), normal(few, 10)),
    ),
    "a twentieth is a thousand times as large": lambda big, few: (
        normal(big, 10), part(few, 0.05, 1000 * normal(few, 10), normal(few, 10)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("rows", [500, 1_000, 3_000])
@pytest.mark.parametrize("baseline_rows", [50_000, 300_000])
@pytest.mark.parametrize("case", CASES)
def test_what_was_never_seen_is_told(case: str, baseline_rows: int, rows: int) -> None:
    state, named = judged(*CASES[case](baseline_rows, rows), DriftSpec())
    assert state == "drifted" and named.startswith("it ")


@pytest.mark.parametrize(("before", "now"), [(0.02, 0.07), (0.10, 0.15), (0.07, 0.02)])
def test_a_changed_share_of_missing_values_is_told(before: float, now: float) -> None:
    state, named = judged(nulls(50_000, before), nulls(3_000, now), DriftSpec())
    assert (state, named) == ("drifted", "it 0.05 (missing)")
    assert judged(nulls(50_000, 0.02), nulls(3_000, 0.03), DriftSpec())[0] == "quiet"


def a_slice(rows: int, share: float, by: float) -> Values:
    return normal(rows) + by * (RANDOM.random(rows) < share)


@pytest.mark.parametrize(("rows", "least"), [(3_000, 0.8), (50_000, 1.0)])
@pytest.mark.parametrize("by", [2.0, -2.0, 3.0])
def test_a_tenth_of_the_rows_that_moves_is_told(by: float, rows: int, least: float) -> None:
    """It is a PSI of 0.05, of a floor of 0.2: of 50,000 rows nobody was told."""
    baseline = normal(50_000)
    told = [judged(baseline, a_slice(rows, 0.1, by), DriftSpec()) for _ in range(30)]
    assert np.mean([state == "drifted" for state, _ in told]) >= least
    assert {named.partition("(")[2] for state, named in told if state == "drifted"} == {"moved-slice)"}
    assert judged(baseline, a_slice(rows, 0.1, by), DriftSpec(also=[]))[0] == "quiet"


def test_a_small_shift_of_all_rows_is_no_slice() -> None:
    """It is a PSI of 0.06, more than a tenth that moves by two deviations."""
    baseline = normal(50_000)
    assert not any(judged(baseline, normal(50_000, 0.25), DriftSpec())[0] == "drifted" for _ in range(30))


def test_a_shift_of_two_deviations_is_told_in_the_smallest_window_that_gets_a_verdict() -> None:
    """It was found in 0 of 40 windows of 30 rows, which were called quiet."""
    policy, told = DriftSpec(min_rows=1), []
    baseline = normal(50_000)
    for _ in range(40):
        assert judged(baseline, normal(30, 2.0), policy)[0] == "too-few-rows"
        told.append(judged(baseline, normal(60, 2.0), policy)[0] == "drifted")
    assert all(told)
    assert np.mean([judged(baseline, normal(60, 1.0), policy)[0] == "drifted" for _ in range(100)]) > 0.8
