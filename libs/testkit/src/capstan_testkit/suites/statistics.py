"""What every drift statistic must do, ours and those from outside."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import pytest

from capstan_contracts.kinds.statistics import STATISTIC_KINDS, STATISTIC_SPECS, Sort, StatisticSpec
from capstan_formats.sketches import CategorySketch, NumericSketch

AnySketch = NumericSketch | CategorySketch
ROWS = 4000


class Measurement(Protocol):
    """What a statistic answers."""

    @property
    def effect(self) -> float:
        """How far the window is, in the statistic's unit."""
        ...

    @property
    def p_value(self) -> float:
        """How likely so much is without drift."""
        ...


class MeasuresDrift(Protocol):
    """The parts of a statistic that the suite uses."""

    @property
    def spec(self) -> type[StatisticSpec]:
        """The model of its spec."""
        ...

    @property
    def unit(self) -> str:
        """Printed after the effect."""
        ...

    @property
    def floor(self) -> float:
        """Its own floor."""
        ...

    def measure(self, baseline: AnySketch, window: AnySketch, spec: Any) -> Measurement:
        """Compare two sketches."""
        ...

    def in_report(self, floor: float) -> tuple[str, float] | None:
        """Evidently's method and threshold."""
        ...


def column(sort: Sort, shift: float, seed: int, rows: int) -> list[Any]:
    """Values that move with `shift`: a mean in deviations, or that share of new words; and a third as many nulls."""
    random = np.random.default_rng(seed)
    values: list[Any] = list(random.normal(shift, 1, rows))
    if sort == "categorical":
        words = random.choice(["AA", "B6", "UA"], rows, p=[0.5, 0.3, 0.2])
        values = [f"new-{n % 7}" if random.random() < shift else word for n, word in enumerate(words)]
    return [None if missing else value for value, missing in zip(values, random.random(rows) < shift / 3, strict=True)]


def sketches(sort: Sort, shift: float, seed: int = 1, rows: int = ROWS) -> tuple[AnySketch, AnySketch]:
    """A baseline without shift and a window with."""
    values = column(sort, 0.0, seed, ROWS)
    baseline: AnySketch = NumericSketch.build(values) if sort == "numeric" else CategorySketch.build(values)
    window = baseline.empty_like()
    window.update(column(sort, shift, seed + 100, rows))
    return baseline, window


class StatisticBehaviour:
    """Inherit, and give the fixtures `statistic` (the implementation) and `kind` (the name of its entry point)."""

    def test_its_spec_is_found_by_its_name(self, statistic: MeasuresDrift, kind: str) -> None:
        spec = STATISTIC_KINDS.parse(kind)
        assert type(spec) is statistic.spec is STATISTIC_SPECS.get(kind)
        assert STATISTIC_KINDS.parse(spec.model_dump(mode="json", by_alias=True)) == spec
        assert spec.takes <= {"numeric", "categorical"} and spec.takes

    def test_it_has_a_unit_and_a_floor(self, statistic: MeasuresDrift) -> None:
        assert statistic.unit and statistic.floor > 0

    def test_nothing_has_moved_where_nothing_moved(self, statistic: MeasuresDrift, kind: str) -> None:
        spec = STATISTIC_KINDS.parse(kind)
        for sort in sorted(spec.takes):
            baseline, _ = sketches(sort, 0.0)
            drift = statistic.measure(baseline, baseline, spec)
            assert drift.effect == pytest.approx(0.0, abs=1e-9)
            assert drift.p_value > 0.4

    def test_without_drift_it_stays_under_its_floor_and_its_p_values_are_honest(
        self, statistic: MeasuresDrift, kind: str
    ) -> None:
        spec = STATISTIC_KINDS.parse(kind)
        for sort in sorted(spec.takes):
            drifts = [statistic.measure(*sketches(sort, 0.0, seed, 1000), spec) for seed in range(200)]
            assert max(drift.effect for drift in drifts) < statistic.floor
            assert sum(drift.p_value < 0.05 for drift in drifts) <= 22  # binomial, 0.05 of 200: 99.9 % below

    def test_the_effect_grows_with_the_shift_and_passes_the_floor(self, statistic: MeasuresDrift, kind: str) -> None:
        spec = STATISTIC_KINDS.parse(kind)
        for sort in sorted(spec.takes):
            drifts = [statistic.measure(*sketches(sort, shift), spec) for shift in (0.02, 0.3, 0.9)]
            effects = [drift.effect for drift in drifts]
            assert effects == sorted(effects)
            assert effects[0] < statistic.floor < effects[-1]
            assert drifts[-1].p_value < 1e-6

    def test_the_effect_does_not_depend_on_how_many_rows_there_are(self, statistic: MeasuresDrift, kind: str) -> None:
        spec = STATISTIC_KINDS.parse(kind)
        for sort in sorted(spec.takes):
            few, many = (statistic.measure(*sketches(sort, 0.9, rows=rows), spec).effect for rows in (1000, 50_000))
            assert few == pytest.approx(many, rel=0.35)

    def test_it_answers_numbers_and_not_nan(self, statistic: MeasuresDrift, kind: str) -> None:
        spec = STATISTIC_KINDS.parse(kind)
        for sort in sorted(spec.takes):
            for shift in (0.0, 0.5, 1.0):
                drift = statistic.measure(*sketches(sort, shift, rows=3), spec)
                assert math.isfinite(drift.effect) and drift.effect >= 0
                assert 0 <= drift.p_value <= 1

    def test_the_report_gets_a_method_with_a_threshold_or_nothing(self, statistic: MeasuresDrift) -> None:
        shown = statistic.in_report(statistic.floor)
        assert shown is None or (shown[0] and shown[1] > 0)
