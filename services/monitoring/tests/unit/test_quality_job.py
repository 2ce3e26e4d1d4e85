"""DeLong's interval against brute force, known values and coverage; the other metrics; labels of a file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binom, rankdata

from capstan_monitoring.domain.join import join_key
from capstan_monitoring.jobs import labels, quality
from capstan_monitoring.jobs.quality import auc_interval, measure, midranks
from capstan_servicekit.jobs.api import Job, JobRefused


def scores(random: np.random.Generator, rows: int) -> tuple[Any, Any]:
    label = (random.random(rows) < 0.3).astype(np.float64)
    return np.round(random.normal(label * 0.8, 1), 1), label


def by_hand(score: Any, label: Any) -> tuple[float, float]:
    """AUC and DeLong's standard error from their definition: all pairs (DeLong, DeLong, Clarke-Pearson 1988)."""
    x, y = score[label == 1], score[label == 0]
    psi = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    variance = psi.mean(axis=1).var(ddof=1) / len(x) + psi.mean(axis=0).var(ddof=1) / len(y)
    return float(psi.mean()), float(np.sqrt(variance))


@pytest.mark.parametrize("seed", range(5))
def test_the_fast_algorithm_is_delongs(seed: int) -> None:
    score, label = scores(np.random.default_rng(seed), 200)
    auc, deviation = by_hand(score, label)
    value, low, high = auc_interval(score, label)
    assert value == pytest.approx(auc, abs=1e-12)
    assert low == pytest.approx(auc - quality.Z * deviation, abs=1e-12)
    assert high == pytest.approx(auc + quality.Z * deviation, abs=1e-12)
    np.testing.assert_array_equal(midranks(score), rankdata(score))


def test_the_interval_agrees_with_a_bootstrap() -> None:
    random = np.random.default_rng(1)
    score, label = scores(random, 400)
    value, low, high = auc_interval(score, label)
    again: list[float] = []
    for _ in range(600):
        chosen = random.integers(0, 400, 400)
        resampled = auc_interval(score[chosen], label[chosen])[0]
        assert resampled is not None
        again.append(resampled)
    assert value is not None and low is not None and high is not None
    assert np.percentile(again, 2.5) == pytest.approx(low, abs=0.015)
    assert np.percentile(again, 97.5) == pytest.approx(high, abs=0.015)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    truth = 0.7602499389065233  # of normal scores one standard deviation apart: the normal distribution at 1/sqrt(2)
    hits = 0
    for _ in range(400):
        score = np.concatenate([random.normal(1, 1, 100), random.normal(0, 1, 150)])
        _, low, high = auc_interval(score, np.repeat([1.0, 0.0], [100, 150]))
        assert low is not None and high is not None
        hits += low <= truth <= high
    assert hits >= binom.ppf(0.001, 400, 0.95)


def test_undefined_is_none() -> None:
    one = np.array([0.5])
    assert auc_interval(one, np.array([1.0])) == (None, None, None)
    assert auc_interval(np.array([0.2, 0.8]), np.array([0.0, 1.0])) == (1.0, None, None)
    for metric in ("auc", "logloss", "brier", "accuracy"):
        assert measure(metric, np.array([]), np.array([])) == (None, None, None)
    assert measure("brier", one, np.array([1.0])) == (0.25, None, None)


def test_the_other_metrics() -> None:
    score, label = np.array([0.9, 0.2, 0.6, 0.0]), np.array([1.0, 0.0, 0.0, 0.0])
    value, low, high = measure("accuracy", score, label)
    assert value == 0.75 and low is not None and high == 1.0
    assert measure("brier", score, label)[0] == pytest.approx((0.01 + 0.04 + 0.36) / 4)
    assert measure("logloss", score, label)[0] == pytest.approx(-np.log([0.9, 0.8, 0.4, 1.0]).mean())
    sure = measure("logloss", np.array([0.0, 1.0]), np.array([1.0, 0.0]))[0]
    assert sure is not None and 30 < sure < 40


def test_the_job_reads_pairs(tmp_path: Path) -> None:
    score, label = scores(np.random.default_rng(0), 100)
    np.column_stack([score, label]).tofile(tmp_path / "pairs")
    found = quality.run(Job({"file": str(tmp_path / "pairs"), "metric": "auc"}, tmp_path))
    assert found["low"] < found["value"] < found["high"]


def run_labels(folder: Path, table: pa.Table, keys: list[str], label: str = "late") -> tuple[dict[str, Any], list[str]]:
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
    assert found == {"labels": 1, "unlabelled": 2, "keyless": 1}
    assert lines[0] == f'["{join_key([1, 0, "a"])}", 1.0]'
    for late in ([True, False], [Decimal("1.0"), Decimal("0.0")]):
        found, _ = run_labels(tmp_path, pa.table({"id": [1, 2], "late": late}), ["id"])
        assert found["labels"] == 2
    found, _ = run_labels(tmp_path, pa.table({"id": [1, 2], "late": pa.nulls(2)}), ["id"])
    assert found["unlabelled"] == 2


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
