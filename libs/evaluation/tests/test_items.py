"""The item-level table: what was given comes back, per slice; figures and comparisons out of it."""

from __future__ import annotations

import numpy as np
import pytest

from capstan_evaluation.compare import compare
from capstan_evaluation.errors import InvalidSample, Unsuitable
from capstan_evaluation.figures import compare_items, figures
from capstan_evaluation.items import ALL, ItemTable
from capstan_evaluation.kinds import find, metrics_of
from capstan_evaluation.sample import Sample
from capstan_evaluation.tasks import binary
from capstan_testkit.suites.metrics import sample_of

IDS = [f"item-{number}" for number in range(120)]
CARRIER = ["AA", "B6", None] * 40
RAIN = [False, True] * 60


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "forecast"])
def test_what_was_given_comes_back_of_each_slice(task: str) -> None:
    sample = sample_of(task)  # type: ignore[arg-type]
    table = ItemTable.of(IDS, sample, metrics=metrics_of(sample.task), slices={"carrier": CARRIER, "rain": RAIN})
    assert table.task == task
    assert table.slices == (ALL, "carrier=AA", "carrier=B6", "carrier=null", "rain=False", "rain=True")
    for name, rows in ((ALL, slice(0, 120)), ("carrier=B6", slice(1, 120, 3)), ("rain=False", slice(0, 120, 2))):
        ids, again = table.sample(name)
        assert ids.tolist() == IDS[rows]
        same(again, sample.take(np.arange(120)[rows]))


def same(one: Sample, two: Sample) -> None:
    assert (one.task, one.has, one.classes, one.quantile) == (two.task, two.has, two.classes, two.quantile)
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_array_equal(one.predictions, two.predictions)
    np.testing.assert_array_equal(one.scale, two.scale)


def test_the_columns_have_a_line_per_item_slice_and_metric() -> None:
    sample = binary.sample([0, 1], [0.25, 0.5])
    table = ItemTable.of([7, 8], sample, metrics=[find("auc"), find("brier")], slices={"at": ["x", "y"]})
    lines = list(zip(*(column.tolist() for column in table.columns().values()), strict=True))
    assert list(table.columns()) == ["item_id", "slice", "metric", "value"]
    assert lines == [
        (7, "", "label", 0.0), (8, "", "label", 1.0),
        (7, "", "prediction", 0.25), (8, "", "prediction", 0.5),
        (7, "", "brier", 0.0625), (8, "", "brier", 0.25),
        (7, "at=x", "label", 0.0), (7, "at=x", "prediction", 0.25), (7, "at=x", "brier", 0.0625),
        (8, "at=y", "label", 1.0), (8, "at=y", "prediction", 0.5), (8, "at=y", "brier", 0.25),
    ]  # fmt: skip


def test_figures_of_each_slice_with_interval_or_the_reason() -> None:
    sample = sample_of("binary")
    table = ItemTable.of(IDS, sample, slices={"label": sample.labels.tolist()})
    auc, brier = figures(table, find("auc")), figures(table, find("brier"))
    assert auc[ALL].value == find("auc").value(sample) and auc[ALL].interval == find("auc").interval(sample)
    assert (auc["label=0.0"].value, auc["label=0.0"].interval) == (None, None)
    assert auc["label=0.0"].note == "auc is not defined: the label has one class only in 80 rows"
    assert brier["label=1.0"].rows == 40 and brier["label=1.0"].note == ""
    assert brier["label=1.0"].value == find("brier").value(sample.take(sample.labels == 1))
    assert (brier[ALL].metric, brier[ALL].unit) == ("brier", "1")


def test_two_tables_are_compared_item_by_item_whatever_their_order() -> None:
    better, worse = sample_of("binary", noise=0.5), sample_of("binary", noise=3.0)
    shuffled = np.random.default_rng(3).permutation(120)
    mine = ItemTable.of(IDS, better, slices={"carrier": CARRIER})
    theirs = ItemTable.of(
        np.array(IDS)[shuffled], worse.take(shuffled), slices={"carrier": [CARRIER[row] for row in shuffled]}
    )
    found = compare_items(find("auc"), mine, theirs, resamples=200)
    wanted = compare(find("auc"), better, worse, resamples=200)
    np.testing.assert_array_equal(found.differences, wanted.differences)
    assert found.lower_bound(0.95) > 0
    rows = np.arange(0, 120, 3)
    of_slice = compare_items(find("brier"), mine, theirs, slice_="carrier=AA", resamples=200)
    alone = compare(find("brier"), better.take(rows), worse.take(rows), resamples=200)
    np.testing.assert_array_equal(of_slice.differences, alone.differences)


def test_what_does_not_fit_together_is_refused() -> None:
    sample = sample_of("binary")
    with pytest.raises(InvalidSample, match="an item id is there twice"):
        ItemTable.of(["one"] * 120, sample)
    with pytest.raises(InvalidSample, match="there are 120 labels but item ids of the shape"):
        ItemTable.of(IDS[:-1], sample)
    with pytest.raises(InvalidSample, match="120 labels but 3 values of the slice column 'carrier'"):
        ItemTable.of(IDS, sample, slices={"carrier": CARRIER[:3]})
    with pytest.raises(Unsuitable, match="mae is a metric of regression and forecast, and the task here is binary"):
        ItemTable.of(IDS, sample, metrics=[find("mae")])
    table = ItemTable.of(IDS, sample)
    with pytest.raises(Unsuitable, match="the item table has no slice 'carrier=AA'; it has ''"):
        table.sample("carrier=AA")
    with pytest.raises(Unsuitable, match="no values of 'brier'; it has 'label', 'prediction'"):
        table.values("brier")
    others = ItemTable.of([*IDS[:-1], "another"], sample)
    with pytest.raises(InvalidSample, match="hold different items"):
        compare_items(find("auc"), table, others)
    fewer = ItemTable.of(IDS[:-1], sample.take(np.arange(119)))
    with pytest.raises(InvalidSample, match="hold different items"):
        compare_items(find("auc"), table, fewer)
