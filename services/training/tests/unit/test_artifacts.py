"""Artifacts below KFP's pipeline root."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_servicekit.jobs.api import JobRefused
from capstan_training.jobs.artifacts import check_holdout, find_artifact, read_metrics


def step(root: Path, name: str, **metadata: Any) -> Path:
    folder = root / "tiny-1" / name
    folder.mkdir(parents=True)
    reported = {key: {"artifacts": [{"name": key, "metadata": value}]} for key, value in metadata.items()}
    (folder / "executor_output.json").write_text(json.dumps({"artifacts": reported}))
    return folder


def test_metrics_are_finite_numbers_of_metadata_and_file(tmp_path: Path) -> None:
    folder = step(tmp_path, "score", metrics={"auc": 0.7, "note": "text", "flag": True, "bad": float("nan")})
    assert read_metrics(tmp_path, "metrics", {}) == {"auc": 0.7}
    (folder / "metrics").write_text('{"rows": 12, "inf": Infinity, "auc": 0.8, "slices": {"AA": 1}}')
    assert read_metrics(tmp_path, "metrics", {}) == {"auc": 0.8, "rows": 12.0}
    (folder / "metrics").write_text("no json")
    assert read_metrics(tmp_path, "metrics", {}) == {"auc": 0.7}
    assert read_metrics(tmp_path, "other", {}) == {}


def test_an_artifact_must_be_the_only_one_or_the_pipelines_own(tmp_path: Path) -> None:
    first, second = step(tmp_path, "fit", package={}), step(tmp_path, "refit", package={})
    (first / "package").write_text("1")
    (second / "package").write_text("2")
    with pytest.raises(JobRefused, match="fit, refit"):
        find_artifact(tmp_path, "package", {})
    assert find_artifact(tmp_path, "package", {"package": str(second / "package")}).path.read_text() == "2"
    with pytest.raises(JobRefused, match="none"):
        find_artifact(tmp_path, "holdout", {})


def test_an_artifact_that_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    folder = step(tmp_path / "root", "fit")
    (folder / "package").symlink_to(tmp_path / "secret")
    with pytest.raises(JobRefused, match="outside"):
        find_artifact(tmp_path / "root", "package", {})
    for outputs in ({"package": str(tmp_path / "secret")}, {"package": str(tmp_path / "gone")}):
        with pytest.raises(JobRefused):
            find_artifact(tmp_path / "root", "package", outputs)


def test_the_holdout_is_parquet_with_rows_and_the_label(tmp_path: Path) -> None:
    file = tmp_path / "holdout"
    pq.write_table(pa.table({"late": [1, 0]}), file)
    check_holdout(file, "late")
    with pytest.raises(JobRefused, match="no column"):
        check_holdout(file, "other")
    pq.write_table(pa.table({"late": pa.array([], pa.int64())}), file)
    with pytest.raises(JobRefused, match="no rows"):
        check_holdout(file, "late")
    file.write_bytes(b"PAR1 and nothing else PAR1")
    with pytest.raises(JobRefused, match="not Parquet"):
        check_holdout(file, "late")
    with pytest.raises(JobRefused, match="not a file"):
        check_holdout(tmp_path, "late")
