"""Live quality as the library measures it; labels of a file."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.kinds.metrics import METRICS_BY_TASK
from capstan_evaluation.kinds import find, metrics_of
from capstan_evaluation.sample import Sample
from capstan_evaluation.tasks import binary, multiclass, regression
from capstan_monitoring.domain.jobs import LabelsToRead, MeasuredQuality, QualityToMeasure, ReadLabels
from capstan_monitoring.domain.join import join_key
from capstan_monitoring.jobs import labels, quality
from capstan_servicekit.jobs.api import Job, JobRefused, fields_of


def measure(
    folder: Path, metric: str | None, said: Any, label: Any, *, task: str = "binary", classes: int | None = None
) -> MeasuredQuality:
    np.column_stack([label, said]).astype(np.float64).tofile(folder / "rows")
    given = QualityToMeasure(str(folder / "rows"), task, classes, metric)
    return quality.run(Job(fields_of(given), folder))


def test_nothing_is_told_of_few_labels_and_later_by_an_interval_for_all_looks(tmp_path: Path) -> None:
    """Two wrong labels of two are no evidence; the interval that decides holds at each look, so it is the wider one."""

    def looked(rows: int) -> MeasuredQuality:
        label, said = np.ones(rows), np.where(np.arange(rows) % 3 == 0, 0.9, 0.1)
        np.column_stack([label, said]).tofile(tmp_path / "rows")
        given = QualityToMeasure(str(tmp_path / "rows"), "binary", None, "accuracy", first_look=100)
        return quality.run(Job(fields_of(given), tmp_path))

    few, many = looked(99), looked(100)
    assert few.low is not None and few.anytime_low is few.anytime_high is None
    assert many.low is not None and many.high is not None
    assert many.anytime_low is not None and many.anytime_high is not None
    assert many.anytime_low < many.low < many.high < many.anytime_high < 0.52


def expected(name: str, sample: Sample) -> MeasuredQuality:
    interval = find(name).interval(sample)
    assert interval is not None
    return MeasuredQuality(name, find(name).value(sample), interval.low, interval.high)


@pytest.mark.parametrize("metric", [metric.name for metric in metrics_of("binary")])
def test_live_quality_is_the_librarys_value_with_its_interval(metric: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    score = random.random(100)
    label = random.random(100) < score
    found = measure(tmp_path, metric, score, label)
    assert found == expected(metric, binary.sample(label, score))
    assert found.value is not None and found.low is not None and found.high is not None
    assert found.low < found.value < found.high


@pytest.mark.parametrize("metric", ["mae", "mape", "r2", "rmse"])
def test_a_regression_is_measured_in_the_unit_of_its_label(metric: str, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    label = random.normal(50, 10, 200)
    said = label + random.normal(0, 2, 200)
    found = measure(tmp_path, metric, said, label, task="regression")
    assert found == expected(metric, regression.sample(label, said))


@pytest.mark.parametrize("metric", METRICS_BY_TASK["multiclass"])
def test_classes_are_measured_by_their_probabilities(metric: str, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    said = random.dirichlet([1, 1, 1], 300)
    label = np.array([random.choice(3, p=row) for row in said])
    found = measure(tmp_path, metric, said, label, task="multiclass", classes=3)
    assert found == expected(metric, multiclass.sample(label.tolist(), said, ["0", "1", "2"]))


def test_each_task_has_a_metric_that_is_taken_where_none_is_named(tmp_path: Path) -> None:
    assert measure(tmp_path, None, [0.1, 0.9], [0, 1]).metric == "auc"
    assert measure(tmp_path, None, [3.0, 5.0], [4.0, 4.0], task="regression").metric == "rmse"
    found = measure(tmp_path, None, [[0.2, 0.8], [0.9, 0.1]], [1, 1], task="multiclass", classes=2)
    assert (found.metric, found.value) == ("accuracy", 0.5)


def test_undefined_is_null(tmp_path: Path) -> None:
    for metric in metrics_of("binary"):
        assert measure(tmp_path, metric.name, [], []) == MeasuredQuality(metric.name, None, None, None)
    assert measure(tmp_path, "auc", [0.5], [1.0]) == MeasuredQuality("auc", None, None, None)
    assert measure(tmp_path, "brier", [0.5], [1.0]) == MeasuredQuality("brier", 0.25, None, None)


def test_what_cannot_be_measured_is_refused_with_the_reason(tmp_path: Path) -> None:
    for metric, score, told in (
        ("mae", 0.5, "mae is a metric of regression and forecast, and the task here is binary"),
        ("vibes", 0.5, "there is no metric 'vibes'"),
        ("brier", 1.5, "probabilities lie between 0 and 1; 1 of 1 are not, the first is 1.5 in row 0"),
    ):
        with pytest.raises(JobRefused, match=f"quality cannot be measured: {told}"):
            measure(tmp_path, metric, [score], [1.0])
    assert measure(tmp_path, "auc", [-3.0, 1.5], [0.0, 1.0]).value == 1.0, "scores that only rank"
    with pytest.raises(JobRefused, match="the task 'forecast' is none of binary, multiclass, regression"):
        measure(tmp_path, "mae", [1.0], [1.0], task="forecast")
    with pytest.raises(JobRefused, match="auc is a metric of binary, and the task here is regression"):
        measure(tmp_path, "auc", [1.0], [1.0], task="regression")
    with pytest.raises(JobRefused, match="the labels are of the 2 classes 0, 1"):
        measure(tmp_path, "accuracy", [[0.2, 0.8]], [2.0], task="multiclass", classes=2)


def run_labels(
    folder: Path, table: pa.Table, keys: list[str], task: str | None = "binary", classes: int | None = None
) -> tuple[ReadLabels, list[str]]:
    pq.write_table(table, folder / "file.parquet")
    given = LabelsToRead(str(folder / "file.parquet"), keys, ["at"], "late", task, classes)
    return labels.run(Job(fields_of(given), folder)), (folder / "labels.jsonl").read_text().splitlines()


def test_labels_of_every_usual_type(tmp_path: Path) -> None:
    table = pa.table({
        "id": pa.array([1, 2, 3, None]),
        "at": pa.array([0, 1, 2, 3], pa.timestamp("ms")),
        "who": pa.array(["a", "b", "a", "a"]).dictionary_encode(),
        "late": pa.array([1.0, float("nan"), None, 1.0]),
    })  # fmt: skip
    found, lines = run_labels(tmp_path, table, ["id", "at", "who"])
    assert found == ReadLabels(labels=1, unlabelled=2, keyless=1)
    assert lines[0] == f'["{join_key([1, 0, "a"])}", 1.0]'
    for late in ([True, False], [Decimal("1.0"), Decimal("0.0")]):
        found, _ = run_labels(tmp_path, pa.table({"id": [1, 2], "late": late}), ["id"])
        assert found.labels == 2
    found, _ = run_labels(tmp_path, pa.table({"id": [1, 2], "late": pa.nulls(2)}), ["id"])
    assert found.unlabelled == 2


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"id": [1], "late": [2]}, "the label is '2'"),
        ({"id": [1], "late": ["yes"]}, "the label is 'yes'"),
        ({"late": [1]}, "no column 'id'"),
        ({"id": [1]}, "no column 'late'"),
        ({"id": [[1]], "late": [1]}, "the key 'id' is"),
    ],
)
def test_labels_that_are_none_are_refused(tmp_path: Path, table: dict[str, Any], told: str) -> None:
    with pytest.raises(JobRefused, match=told):
        run_labels(tmp_path, pa.table(table), ["id"])


@pytest.mark.parametrize("task", ["regression", None])
def test_any_finite_number_is_a_label_of_a_regression_or_while_the_task_is_unknown(
    tmp_path: Path, task: str | None
) -> None:
    table = pa.table({"id": [1, 2, 3], "late": [Decimal("-2.5"), None, Decimal("7.0")]})
    found, lines = run_labels(tmp_path, table, ["id"], task)
    assert (found.labels, found.unlabelled) == (2, 1)
    assert [json.loads(line)[1] for line in lines] == [-2.5, None, 7.0]
    for late in (math.inf, -math.inf):
        with pytest.raises(JobRefused, match=r"row 1: the label is '-?inf', and labels are a finite number"):
            run_labels(tmp_path, pa.table({"id": [1, 2], "late": [1.0, late]}), ["id"], task)


def test_a_label_of_classes_is_the_number_of_one(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2], "late": [0, 2]})
    assert run_labels(tmp_path, table, ["id"], "multiclass", 3)[0].labels == 2
    assert run_labels(tmp_path, table, ["id"], "multiclass")[0].labels == 2
    with pytest.raises(JobRefused, match="row 1: the label is '2', and labels are the number of a class, 0 to 1"):
        run_labels(tmp_path, table, ["id"], "multiclass", 2)
    for late in (0.5, -1.0):
        with pytest.raises(JobRefused, match="the number of a class, 0 or above"):
            run_labels(tmp_path, pa.table({"id": [1], "late": [late]}), ["id"], "multiclass")


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"PAR1 but not really")
    with pytest.raises(JobRefused, match="cannot be read"):
        labels.run(Job(fields_of(LabelsToRead(str(tmp_path / "file"), ["id"], [], "late", None, None)), tmp_path))
