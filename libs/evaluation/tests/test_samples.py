"""Labels and predictions that break a rule are refused with a sentence that names the rule and the first row."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from capstan_evaluation.errors import InvalidSample, Unsuitable
from capstan_evaluation.kinds import find
from capstan_evaluation.sample import Sample
from capstan_evaluation.tasks import binary, forecast, multiclass, regression

NAN, INF = float("nan"), float("inf")


def three(labels: list[Any], probabilities: Any, classes: tuple[str, ...] = ("a", "b", "c")) -> Sample:
    return multiclass.sample(labels, probabilities, classes)


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: binary.sample([0, 1], [0.5]), "there are 2 labels but 1 scores"),
    (lambda: binary.sample([0, 2, 3], [0.1] * 3), "the labels are 0 or 1; 2 of 3 are not, the first is 2.0 in row 1"),
    (lambda: binary.sample([0, NAN], [0.1] * 2), "the labels are 0 or 1; 1 of 2 are not, the first is nan in row 1"),
    (lambda: binary.sample(["0", "1"], [0.1] * 2), "the labels are not numbers but of type <U1, as the first: "),
    (lambda: binary.sample(np.array([0, None]), [0.1] * 2), "the labels are not numbers but of type object"),
    (lambda: binary.sample([[0], [1]], [0.1] * 2), r"the labels have the shape \(2, 1\); 1 dimension"),
    (lambda: binary.sample([[0], [1, 2]], [0.1] * 2), "the labels are not an array with lines of one length"),
    (lambda: binary.sample([0, 1], ["a", "b"]), "the scores are not numbers"),
    (lambda: binary.sample([0, 1], [0.1, 1.5]), "probabilities lie between 0 and 1; 1 of 2 are not, the first is 1.5"),
    (lambda: binary.sample([0, 1], [0.1, NAN]), "probabilities lie between 0 and 1; 1 of 2 .* is nan in row 1"),
    (lambda: binary.sample([0, 1], [1, INF], probabilities=False), "the scores are finite numbers; 1 of 2 are not"),
    (lambda: three(["a", "z"], [[1, 0, 0]] * 2), "the labels are of the 3 classes a, b, c; 1 of 2 .* is 'z' in row 1"),
    (lambda: three(["a"], [[1, 0]]), "there are 3 classes but 2 probabilities per item"),
    (lambda: three(["a"], [1, 0, 0]), "the probabilities have the shape"),
    (lambda: three(["a"], [[1, 0, 0]] * 2), "there are 1 labels but 2 lines of probabilities"),
    (lambda: three(["a"], [[0.5, 0, 0]]), "the probabilities of an item add up to 1; 1 of 1 .* is 0.5 in row 0"),
    (lambda: three(["a"], [[2, -1, 0]]), "probabilities lie between 0 and 1"),
    (lambda: three(["a"], [[1]], ("a",)), "two or more classes of different names"),
    (lambda: three(["a"], [[1, 0]], ("a", "a")), "two or more classes of different names"),
    (lambda: regression.sample([1, INF], [1, 2]), "the labels are finite numbers; 1 of 2 are not, the first is inf"),
    (lambda: regression.sample([1, NAN], [1, 2]), "the labels are finite numbers; 1 of 2 are not, the first is nan"),
    (lambda: regression.sample([1, 2], [-INF, 2]), "the predictions are finite numbers; .* is -inf in row 0"),
    (lambda: regression.sample([1, 2], [1]), "there are 2 labels but 1 predictions"),
    (lambda: regression.sample([1], [1], quantile=1.0), "a quantile lies between 0 and 1, and 1.0 does not"),
    (lambda: regression.sample(np.array(["2020"], "M8[Y]"), [1]), "the labels are not numbers but of type datetime64"),
    (lambda: forecast.sample([1], [1], scale=[-1.0]), "the scales are not negative; 1 of 1 are not"),
    (lambda: forecast.sample([1], [1], scale=[1, 2]), "there are 1 labels but 2 scales"),
    (lambda: forecast.naive_scale([1, 2], season=2), "a history of 2 values has no step that lies a season of 2"),
    (lambda: forecast.naive_scale([1, NAN]), "the values of the history are finite numbers"),
]


@pytest.mark.parametrize(("make", "sentence"), WRONG)
def test_wrong_input_is_a_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InvalidSample, match=sentence):
        make()


def test_usual_types_are_taken() -> None:
    for labels in ([True, False], np.array([1, 0], np.int8), [1.0, 0.0], np.array([1, 0], np.uint64)):
        assert find("auc").value(binary.sample(labels, np.array([0.7, 0.2], np.float32))) == 1.0
    coded = three([1, 2], [[0.2, 0.8], [0.4, 0.6]], ("1", "2"))
    assert find("accuracy").value(coded) == 0.5
    assert regression.sample([], []).rows == 0


def test_a_score_that_only_ranks_is_no_probability() -> None:
    ranked = binary.sample([0, 1, 1], [-3.0, 2.0, 40.0], probabilities=False)
    assert find("auc").value(ranked) == find("average_precision").value(ranked) == 1.0
    for name in ("brier", "logloss", "accuracy", "f1"):
        with pytest.raises(Unsuitable, match=f"{name} needs probabilities of the class 1"):
            find(name).value(ranked)


def test_a_sample_without_scale_or_quantile_says_so() -> None:
    plain = forecast.sample([1.0], [2.0])
    with pytest.raises(Unsuitable, match="mase needs the scale of each item"):
        find("mase").value(plain)
    with pytest.raises(Unsuitable, match="pinball needs the quantile that was predicted"):
        find("pinball").value(plain)
    with pytest.raises(Unsuitable, match="the sample lacks the scale"):
        plain.scales()
    with pytest.raises(Unsuitable, match="the sample lacks the quantile"):
        plain.the_quantile()


@pytest.mark.parametrize(
    ("name", "sample", "why"),
    [
        ("auc", binary.sample([1, 1, 1], [0.1] * 3), "the label has one class only"),
        ("average_precision", binary.sample([0, 0, 0], [0.1] * 3), "no label is 1"),
        ("recall", binary.sample([0, 0, 0], [0.9] * 3), "no label is 1"),
        ("precision", binary.sample([0, 1, 1], [0.1] * 3), "nothing is decided for class 1"),
        ("f1", binary.sample([0, 0, 0], [0.1] * 3), "no label is 1 and nothing is decided for class 1"),
        ("r2", regression.sample([0.1] * 3, [1, 2, 3]), "all labels are equal"),
        ("mape", regression.sample([0, 1, 2], [1, 2, 3]), "no error is relative to a label that is 0"),
        ("mase", forecast.sample([1] * 3, [2] * 3, scale=[0, 1, 1]), "a series has a history that never changed"),
    ],
)
def test_where_a_metric_is_not_defined_it_says_why(name: str, sample: Sample, why: str) -> None:
    metric = find(name)
    assert metric.value(sample) is None and metric.interval(sample) is None
    assert metric.why_undefined(sample).startswith(f"{name} is not defined: ")
    assert re.search(why, metric.why_undefined(sample))


# --- values that no reference has ------------------------------------------------------------------------------------


def test_mase_is_the_error_in_units_of_the_naive_forecast() -> None:
    assert forecast.naive_scale([1, 3, 2, 6]) == pytest.approx((2 + 1 + 4) / 3)
    assert forecast.naive_scale([1, 3, 2, 6], season=2) == pytest.approx((1 + 3) / 2)
    assert forecast.naive_scale([5, 5, 5]) == 0
    sample = forecast.sample([10, 20], [11, 26], scale=[2.0, 3.0])
    assert find("mase").value(sample) == pytest.approx((0.5 + 2.0) / 2)


def test_smape_counts_nought_and_nought_as_right() -> None:
    sample = forecast.sample([0, 10, 0, -5], [0, 30, 4, 5])
    values = find("smape").item_values(sample)
    assert values is not None and values.tolist() == [0, 1.0, 2.0, 2.0]


def test_a_sure_and_wrong_answer_costs_a_finite_logloss() -> None:
    labels, scores = [1.0, 0.0, 1.0], [0.8, 0.4, 0.0]
    sample = binary.sample(labels, scores)
    assert find("brier").value(sample) == pytest.approx((0.04 + 0.16 + 1.0) / 3)
    assert find("accuracy").value(sample) == pytest.approx(2 / 3)
    losses = find("logloss").item_values(sample)
    assert losses is not None
    assert losses[0] == pytest.approx(-np.log(0.8)) and 30 < losses[2] < 40
