"""Live quality as the library measures it; labels of a file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_evaluation.kinds import find, metrics_of
from capstan_evaluation.tasks import binary
from capstan_monitoring.domain.jobs import ReadLabels
from capstan_monitoring.domain.join import join_key
from capstan_monitoring.jobs import labels, quality
from capstan_servicekit.jobs.api import Job, JobRefused


def measure(folder: Path, metric: str, score: Any, label: Any) -> dict[str, Any]:
    np.column_stack([score, label]).astype(np.float64).tofile(folder / "pairs")
    return quality.run(Job({"file": str(folder / "pairs"), "metric": metric}, folder))


@pytest.mark.parametrize("metric", [metric.name for metric in metrics_of("binary")])
def test_live_quality_is_the_librarys_value_with_its_interval(metric: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    score = random.random(100)
    label = random.random(100) < score
    sample, found = binary.sample(label, score), measure(tmp_path, metric, score, label)
    interval = find(metric).interval(sample)
    assert interval is not None and interval.low < found["value"] < interval.high
    assert found == {"value": find(metric).value(sample), "low": interval.low, "high": interval.high}


def test_undefined_is_null(tmp_path: Path) -> None:
    for metric in metrics_of("binary"):
        assert measure(tmp_path, metric.name, [], []) == {"value": None, "low": None, "high": None}
    assert measure(tmp_path, "auc", [0.5], [1.0]) == {"value": None, "low": None, "high": None}
    assert measure(tmp_path, "brier", [0.5], [1.0]) == {"value": 0.25, "low": None, "high": None}


def test_what_cannot_be_measured_is_refused_with_the_reason(tmp_path: Path) -> None:
    for metric, score, told in (
        ("mae", 0.5, "mae is a metric of regression and forecast, and the task here is binary"),
        ("vibes", 0.5, "there is no metric 'vibes'"),
        ("brier", 1.5, "probabilities lie between 0 and 1; 1 of 1 are not, the first is 1.5 in row 0"),
    ):
        with pytest.raises(JobRefused, match=f"quality cannot be measured: {told}"):
            measure(tmp_path, metric, [score], [1.0])
    assert measure(tmp_path, "auc", [-3.0, 1.5], [0.0, 1.0])["value"] == 1.0, "scores that only rank"


def run_labels(folder: Path, table: pa.Table, keys: list[str], label: str = "late") -> tuple[ReadLabels, list[str]]:
    pq.write_table(table, folder / "file.parquet")
    given = {"file": str(folder / "file.parquet"), "keys": keys, "time_keys": ["at"], "label": label}
    return labels.run(Job(given, folder)), (folder / "labels.jsonl").read_text().splitlines()


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


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"PAR1 but not really")
    with pytest.raises(JobRefused, match="cannot be read"):
        labels.run(Job({"file": str(tmp_path / "file"), "keys": ["id"], "time_keys": [], "label": "late"}, tmp_path))
