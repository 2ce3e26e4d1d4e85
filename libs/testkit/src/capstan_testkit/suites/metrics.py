"""What every metric must do, ours or anybody's."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from capstan_evaluation.arrays import Floats
from capstan_evaluation.compare import compare
from capstan_evaluation.errors import Unsuitable
from capstan_evaluation.metric import Metric
from capstan_evaluation.resampling import drawn_rows
from capstan_evaluation.sample import TASKS, Need, Sample, Task
from capstan_evaluation.tasks import binary, forecast, multiclass, regression

ROWS = 120
CLASSES = ("a", "b", "c")
TINY = 1e-9


def sample_of(task: Task, *, noise: float = 1.0, rows: int = ROWS, seed: int = 3) -> Sample:
    """A sample that holds all that its task can hold; without noise the predictions are as good as they can be."""
    random = np.random.default_rng(seed)
    if task == "binary":
        labels, weight = np.arange(rows) % 3 == 0, noise / (noise + 0.5)
        return binary.sample(labels, (1 - weight) * labels + weight * random.random(rows))
    if task == "multiclass":
        codes = random.integers(0, 3, rows)
        weights = np.eye(3)[codes] + 2 * noise * random.random((rows, 3))
        return multiclass.sample([CLASSES[code] for code in codes], weights / weights.sum(1, keepdims=True), CLASSES)
    truth = random.normal(20, 4, rows)
    said = truth + noise * random.normal(0, 2, rows)
    if task == "regression":
        return regression.sample(truth, said, quantile=0.3)
    return forecast.sample(truth, said, quantile=0.3, scale=random.uniform(1, 3, rows))


def samples(metric: Metric, *, noise: float = 1.0) -> Iterator[Sample]:
    """One of each of the metric's tasks."""
    for task in metric.tasks:
        yield sample_of(task, noise=noise)


def value_of(metric: Metric, sample: Sample) -> float:
    """The value, which has to be there."""
    value = metric.value(sample)
    assert value is not None and math.isfinite(value)
    return value


class MetricBehaviour:
    """Inherit, and give a `metric` fixture. A metric of a task of its own gives its samples by `samples`, too."""

    def samples(self, metric: Metric, *, noise: float = 1.0) -> list[Sample]:
        """Samples on which the metric is defined."""
        return list(samples(metric, noise=noise))

    def test_it_says_what_it_is(self, metric: Metric) -> None:
        assert metric.name.isidentifier() and metric.name == metric.name.lower()
        assert metric.tasks and set(metric.tasks) <= set(TASKS)
        assert all(isinstance(need, Need) for needs in metric.needs.values() for need in needs)
        assert metric.unit and metric.source and metric.limits[0] < metric.limits[1]
        assert metric.undefined_when and not metric.undefined_when.endswith(".")

    def test_the_value_lies_within_the_limits(self, metric: Metric) -> None:
        for sample in self.samples(metric):
            assert metric.limits[0] <= value_of(metric, sample) <= metric.limits[1]

    def test_a_perfect_model_is_better_than_a_noisy_one(self, metric: Metric) -> None:
        for perfect, noisy in zip(self.samples(metric, noise=0.0), self.samples(metric, noise=3.0), strict=True):
            best = value_of(metric, perfect)
            assert metric.oriented(best) > metric.oriented(value_of(metric, noisy))
            assert abs(best - metric.limits[1 if metric.higher_is_better else 0]) < TINY

    def test_the_order_of_the_items_does_not_matter(self, metric: Metric) -> None:
        for sample in self.samples(metric):
            shuffled = sample.take(np.random.default_rng(1).permutation(sample.rows))
            assert value_of(metric, shuffled) == pytest.approx(value_of(metric, sample), abs=TINY)

    def test_item_values_have_the_value_as_their_mean(self, metric: Metric) -> None:
        for sample in self.samples(metric):
            values = metric.item_values(sample)
            if values is not None:
                assert values.shape == (sample.rows,)
                assert float(values.mean()) == pytest.approx(value_of(metric, sample), abs=TINY)

    def test_the_interval_holds_the_value_and_grows_with_the_confidence(self, metric: Metric) -> None:
        for sample in self.samples(metric):
            narrow, wide = metric.interval(sample, 0.8), metric.interval(sample, 0.99)
            assert narrow is not None and wide is not None and narrow.method
            assert (narrow.confidence, wide.confidence) == (0.8, 0.99)
            assert metric.limits[0] <= wide.low < narrow.low < narrow.high < wide.high <= metric.limits[1]
            assert narrow.low <= value_of(metric, sample) <= narrow.high
            assert metric.interval(sample, 0.99) == wide, "the same rows give the same interval"

    def test_a_resample_is_the_metric_of_the_repeated_rows(self, metric: Metric) -> None:
        for sample in self.samples(metric):
            few = sample.take(np.arange(6))  # so few that some resamples are not defined for some metrics
            for whole in (sample, few):
                drawn = next(drawn_rows(whole.rows, 40))
                values: Floats = metric.statistic(whole)(drawn)
                assert values.shape == (40,)
                for value, rows in zip(values, drawn, strict=True):
                    again = metric.value(whole.take(rows))
                    assert math.isnan(value) if again is None else value == pytest.approx(again, abs=TINY)

    def test_a_model_is_as_good_as_itself(self, metric: Metric) -> None:
        for sample in self.samples(metric):
            comparison = compare(metric, sample, sample, resamples=50)
            assert comparison.lower_bound(0.95) == comparison.upper_bound(0.95) == 0

    def test_without_items_there_is_no_value(self, metric: Metric) -> None:
        for sample in self.samples(metric):
            empty = sample.take(np.arange(0))
            assert metric.value(empty) is None and metric.interval(empty) is None
            assert metric.why_undefined(empty) == f"{metric.name} is not defined: there are no rows"

    def test_one_item_gives_no_error(self, metric: Metric) -> None:
        for sample in self.samples(metric):
            for row in range(5):
                single = sample.take(np.array([row]))
                value, interval = metric.value(single), metric.interval(single)
                assert value is None or math.isfinite(value)
                assert interval is None or interval.low <= interval.high

    def test_other_tasks_and_missing_needs_are_refused_by_name(self, metric: Metric) -> None:
        for task in set(TASKS) - set(metric.tasks):
            with pytest.raises(Unsuitable, match=f"{metric.name} is a metric of"):
                metric.value(sample_of(task))
        for sample in self.samples(metric):
            bare = Sample(sample.task, sample.labels, sample.predictions, frozenset(), sample.classes)
            for ask in (metric.value, metric.interval, metric.item_values, metric.statistic):
                with pytest.raises(Unsuitable, match=f"{metric.name} needs"):
                    ask(bare)

    def test_the_sample_stays_as_it_is(self, metric: Metric) -> None:
        for sample in self.samples(metric):
            labels, predictions = sample.labels.copy(), sample.predictions.copy()
            metric.value(sample), metric.interval(sample), metric.item_values(sample)
            np.testing.assert_array_equal(sample.labels, labels)
            np.testing.assert_array_equal(sample.predictions, predictions)
