"""On data without drift, false alarms stay at or under the nominal rate; on drifted data the alarm comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from capstan_contracts.kinds.statistics import MissingSpec, MovedSliceSpec, NewCategorySpec
from capstan_contracts.loop import DriftSpec
from capstan_formats.sketches import CategorySketch, NumericSketch
from capstan_monitoring.domain.drift import ColumnStatistic, judge_columns, verdict
from capstan_monitoring.jobs.measure import measure

WORDS = np.array(["AA", "B6", "DL", "EV", "UA"])
Columns = dict[str, np.ndarray]


def draw(random: np.random.Generator, rows: int, shift: float = 0.0) -> Columns:
    found = {f"n{i}": random.normal(shift, 1, rows) for i in range(5)}
    found |= {f"skewed{i}": random.exponential(1, rows) for i in range(3)}
    found |= {f"count{i}": random.poisson(3, rows).astype(np.float64) for i in range(2)}
    return found | {f"word{i}": random.choice(WORDS, rows, p=[0.4, 0.3, 0.2, 0.07, 0.03]) for i in range(2)}


def sketches(columns: Columns) -> dict[str, NumericSketch | CategorySketch]:
    return {
        name: CategorySketch.build(values) if name.startswith("word") else NumericSketch.build(values)
        for name, values in columns.items()
    }


def alarmed(baseline: dict[str, NumericSketch | CategorySketch], window: Columns, rows: int, policy: DriftSpec) -> bool:
    statistics: list[ColumnStatistic] = []
    for name, values in window.items():
        sketch = baseline[name].empty_like()
        sketch.update(values)
        measured = measure(baseline[name], sketch, policy)
        statistics += [ColumnStatistic(column=name, role="feature", **one) for one in measured]
    return verdict(judge_columns(statistics, policy), rows, [], policy)[0] == "drifted"


def alarms(policy: DriftSpec, windows: int, rows: int) -> int:
    """False alarms over windows of which every twentieth gets a new baseline, so that no single one decides."""
    random, count = np.random.default_rng(11), 0
    baseline: dict[str, NumericSketch | CategorySketch] = {}
    for number in range(windows):
        if number % 20 == 0:
            baseline = sketches(draw(random, 3000))
        count += alarmed(baseline, draw(random, rows), rows, policy)
    return count


def test_false_alarms_stay_at_the_nominal_rate_even_without_the_floor() -> None:
    # With every column without drift, the share of windows with any false discovery is at most alpha.
    nominal, windows = 0.05, 1000
    none = 1e-9
    also = [MissingSpec(floor=none), MovedSliceSpec(floor=none), NewCategorySpec(floor=none)]
    policy = DriftSpec(floor=none, also=also, alpha=nominal, min_rows=100)
    assert alarms(policy, windows, 800) <= binom.ppf(0.999, windows, nominal)


CHOICES: list[Any] = ["psi", "jensen-shannon", "chi-square", {"numeric": "wasserstein", "categorical": "new-category"}]


@pytest.mark.parametrize("statistic", CHOICES)
def test_with_its_own_floor_each_statistic_raises_none(statistic: Any) -> None:
    policy = DriftSpec.model_validate({"minRows": 500, "statistic": statistic, "also": []})
    assert alarms(policy, 300, 500) == 0


def test_what_is_watched_besides_keeps_to_the_nominal_rate() -> None:
    policy, windows = DriftSpec(min_rows=500), 500
    assert alarms(policy, windows, 500) <= binom.ppf(0.999, windows, policy.alpha)


@pytest.mark.parametrize("statistic", CHOICES)
def test_drift_is_seen(statistic: Any) -> None:
    random = np.random.default_rng(5)
    baseline, policy = sketches(draw(random, 3000)), DriftSpec.model_validate({"statistic": statistic})
    assert all(alarmed(baseline, draw(random, 500, shift=0.8), 500, policy) for _ in range(20))
