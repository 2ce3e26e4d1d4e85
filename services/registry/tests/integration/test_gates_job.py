"""The gates' job in its worker process, on a real LightGBM package."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from capstan_registry.actions.judge_promotion import JUDGE, readable
from capstan_registry.domain.jobs import PromotionToJudge, VersionFiles
from capstan_servicekit.jobs.pool import JobPool
from capstan_testkit.harness import job_pythons
from capstan_testkit.packages import build_package

pytestmark = pytest.mark.integration
GATES: list[dict[str, Any]] = [
    {"metric": "auc", "min": 0.65},
    {"metric": "logloss", "max": 0.65},
    {"noWorseThanChampion": {"metric": "auc", "confidence": 0.95}},
    {"slice": "carrier", "metric": "auc", "maxDrop": 0.1, "minRows": 100},
    {"format": "native"},
]
DEFINITIONS = {
    "service": {
        "name": "delay",
        "labelTime": "scheduled",
        "request": [
            {"name": "distance", "dtype": "float64"},
            {"name": "temp", "dtype": "float64"},
            {"name": "carrier", "dtype": "string"},
            {"name": "scheduled", "dtype": "timestamp"},
        ],
        "lookups": [],
    },
    "views": [],
}
MakeFile = Callable[..., Path]


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[JobPool]:
    made = JobPool(job_pythons(), tmp_path / "scratch")
    yield made
    await made.close()


def files(version: int, package: Path, holdout: Path | None) -> VersionFiles:
    held_out = str(holdout) if holdout else None
    return {"version": version, "package": str(package), "holdout": held_out, "training_set": None, "gone": []}


async def decide(pool: JobPool, folder: Path, **given: Any) -> tuple[list[dict[str, Any]], Path | None]:
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    fixed: dict[str, Any] = {"definitions": DEFINITIONS, "task": None, "requested_by": "ada", "approval": None}
    candidate, champion, holdout = (given.pop(name, None) for name in ("candidate", "champion", "holdout"))
    fixed |= {"gates": GATES, "resamples": 1000, "former": [], "event_time": "scheduled"} | given
    fixed |= {"candidate": files(2, candidate, holdout), "champion": files(1, champion, None) if champion else None}
    promotion = PromotionToJudge(**fixed)
    judged = await pool.call(
        JUDGE, promotion, project="default", scratch=folder, readable=readable(promotion), timeout_s=60
    )
    return judged.figures, folder / judged.items if judged.items else None


async def test_a_good_first_candidate(
    pool: JobPool, tmp_path: Path, make_package: MakeFile, make_holdout: MakeFile
) -> None:
    package, holdout = make_package(tmp_path / "a"), make_holdout(tmp_path / "holdout.parquet")
    figures, items = await decide(pool, tmp_path / "out", candidate=package, holdout=holdout)
    assert [figure["passed"] for figure in figures] == [True, True, True, None, True]  # no champion, no drop
    assert 0.7 < figures[0]["observed"] < 0.95
    assert "no champion yet" in figures[2]["sentence"]
    skipped = figures[3]["figures"]["not_judged"]
    assert [entry["value"] for entry in skipped] == ["ZZ"]
    assert items is not None
    table = pq.read_table(items)
    assert table.column_names == ["item_id", "label", "score_candidate"]
    assert table.num_rows == 1500


async def test_a_worse_candidate_is_refused_and_a_better_one_is_not(
    pool: JobPool, tmp_path: Path, make_package: MakeFile, make_holdout: MakeFile
) -> None:
    good, bad = make_package(tmp_path / "good"), make_package(tmp_path / "bad", noise=0.9, rounds=5)
    holdout = make_holdout(tmp_path / "holdout.parquet")
    worse, items = await decide(pool, tmp_path / "one", candidate=bad, champion=good, holdout=holdout)
    assert worse[2]["passed"] is False
    assert worse[2]["figures"]["against_champion"]["answer"] == "worse"
    slices = worse[3]["figures"]["slices"]
    assert [found["value"] for found in slices] == ["AA", "B6", "UA"]
    assert worse[3]["observed"] == max(found["champion"] - found["candidate"] for found in slices)
    assert items is not None
    assert pq.read_table(items).column_names[-1] == "score_champion"
    better, _ = await decide(pool, tmp_path / "two", candidate=good, champion=bad, holdout=holdout)
    assert better[2]["passed"] is True
    same, _ = await decide(pool, tmp_path / "three", candidate=good, champion=good, holdout=holdout)
    assert same[2]["passed"] is True
    assert same[2]["figures"]["against_champion"]["difference"] == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"drop": ("temp",)}, "lacks the column 'temp', which the candidate reads"),
        ({"drop": ("arr_delayed",)}, "lacks the column 'arr_delayed'"),
        ({"drop": ("item_id",)}, "lacks the column 'item_id'"),
        ({"rows": 0}, "has no rows"),
        ({"arr_delayed": np.ones(1500)}, "auc is not defined"),
        ({"arr_delayed": np.full(1500, 2)}, "values other than 0 and 1"),
        ({"arr_delayed": ["late"] * 1500}, "is not a number"),
        ({"carrier": np.arange(1500)}, "cannot score the holdout"),
        ({"temp": np.full(1500, np.inf)}, "cannot score the holdout"),
        ({"item_id": ["same"] * 1500}, "repeats an item"),
    ],
)
async def test_what_cannot_be_judged_fails_with_the_reason(
    pool: JobPool, tmp_path: Path, make_package: MakeFile, make_holdout: MakeFile, change: dict[str, Any], reason: str
) -> None:
    holdout = make_holdout(tmp_path / "holdout.parquet", **change)
    figures, _ = await decide(pool, tmp_path / "out", candidate=make_package(tmp_path / "a"), holdout=holdout)
    assert figures[0]["passed"] is False
    assert reason in figures[0]["sentence"]
    assert figures[4]["passed"] is True  # the format needs no holdout


async def test_no_holdout_garbage_and_pickles_are_refused(
    pool: JobPool, tmp_path: Path, make_package: MakeFile, make_holdout: MakeFile
) -> None:
    package = make_package(tmp_path / "a")
    figures, items = await decide(pool, tmp_path / "one", candidate=package, holdout=None)
    assert "pinned no holdout" in figures[0]["sentence"]
    assert items is None
    (tmp_path / "garbage.parquet").write_bytes(b"PAR1 not really")
    figures, _ = await decide(pool, tmp_path / "two", candidate=package, holdout=tmp_path / "garbage.parquet")
    assert "cannot be read as Parquet" in figures[0]["sentence"]
    (tmp_path / "pickle.tar").write_bytes(b"\x80\x04\x95 not a package")
    holdout = make_holdout(tmp_path / "holdout.parquet")
    figures, _ = await decide(pool, tmp_path / "three", candidate=tmp_path / "pickle.tar", holdout=holdout)
    assert [figure["passed"] for figure in figures] == [False] * 5


async def test_an_unknown_slice_fails(
    pool: JobPool, tmp_path: Path, make_package: MakeFile, make_holdout: MakeFile
) -> None:
    gates = [{"slice": "planet", "metric": "auc", "maxDrop": 0.1}]
    figures, _ = await decide(
        pool,
        tmp_path / "out",
        candidate=make_package(tmp_path / "a"),
        holdout=make_holdout(tmp_path / "holdout.parquet"),
        gates=gates,
    )
    assert "lacks the column 'planet'" in figures[0]["sentence"]


async def test_a_metric_of_another_task_fails_and_one_without_a_value_says_why(
    pool: JobPool, tmp_path: Path, make_package: MakeFile, make_holdout: MakeFile
) -> None:
    package, holdout = make_package(tmp_path / "a"), make_holdout(tmp_path / "holdout.parquet")
    gates = [
        {"metric": "mae", "max": 1.0},
        {"metric": "average_precision", "min": 0.1},
        {"noWorseThanChampion": {"metric": "f1"}},
        {"slice": "carrier", "metric": "precision", "maxDrop": 0.1, "minRows": 100},
    ]
    figures, _ = await decide(pool, tmp_path / "out", candidate=package, champion=package, holdout=holdout, gates=gates)
    assert [figure["passed"] for figure in figures] == [False, True, True, True]
    wrong = "Not passed: mae is a metric of regression and forecast, and the task here is binary."
    assert figures[0]["sentence"] == wrong
    against = figures[2]["figures"]["against_champion"]
    assert against["lower"] == against["upper"] == 0
    none = make_holdout(tmp_path / "none.parquet", arr_delayed=np.zeros(1500))
    figures, _ = await decide(pool, tmp_path / "none", candidate=package, holdout=none, gates=gates)
    assert "average_precision is not defined: no label is 1 in 1500 rows" in figures[1]["sentence"]


@pytest.mark.parametrize(("task", "label"), [("regression", "distance"), ("multiclass", "band")])
async def test_models_of_other_tasks_are_scored_and_a_metric_that_is_not_theirs_says_so(
    pool: JobPool, tmp_path: Path, make_holdout: MakeFile, task: str, label: str
) -> None:
    bands = np.arange(1500) % 3
    holdout = make_holdout(tmp_path / "holdout.parquet", band=bands)
    given: dict[str, Any] = {"task": task, "classes": 3, "label": label}
    ours = build_package(tmp_path / "a", **given)
    onnx = build_package(tmp_path / "b", engine="onnx", **given)
    figures, items = await decide(pool, tmp_path / "out", candidate=ours.path, champion=onnx.path, holdout=holdout)
    assert figures[4]["passed"] is True
    assert f"auc is a metric of binary, and the task here is {task}" in figures[0]["sentence"]
    assert figures[0]["passed"] is False
    assert items is not None
    table = pq.read_table(items)
    assert table.column_names == ["item_id", "label", "score_candidate", "score_champion"]
    scores = np.array(table["score_candidate"].to_pylist())
    if task == "multiclass":
        assert scores.shape == (1500, 3) and np.allclose(scores.sum(axis=1), 1)
        assert table["label"].to_pylist() == bands.tolist()
    else:
        assert scores.shape == (1500,)
        assert table["label"].to_pylist() == pq.read_table(holdout)["distance"].to_pylist()


@pytest.mark.parametrize(
    ("task", "labels", "reason"),
    [
        ("multiclass", np.arange(1500) % 4, "values other than the classes 0 to 2"),
        ("multiclass", np.arange(1500) % 3 + 0.5, "values other than the classes 0 to 2"),
        ("regression", np.full(1500, np.inf), "values that are no finite number"),
    ],
)
async def test_labels_of_another_task_fail_with_the_reason(
    pool: JobPool, tmp_path: Path, make_holdout: MakeFile, task: str, labels: Any, reason: str
) -> None:
    holdout = make_holdout(tmp_path / "holdout.parquet", found=labels)
    package = build_package(tmp_path / "a", task=task, classes=3, label="found")
    figures, items = await decide(pool, tmp_path / "out", candidate=package.path, holdout=holdout)
    assert items is None and reason in figures[0]["sentence"]


async def test_a_champion_of_another_task_and_an_engine_that_is_not_there(
    pool: JobPool, tmp_path: Path, make_package: MakeFile, make_holdout: MakeFile
) -> None:
    holdout, candidate = make_holdout(tmp_path / "holdout.parquet"), make_package(tmp_path / "a")
    other = build_package(tmp_path / "b", task="regression", label="distance")
    figures, _ = await decide(pool, tmp_path / "one", candidate=candidate, champion=other.path, holdout=holdout)
    assert "the champion is a model of the task 'regression'" in figures[2]["sentence"]
    alien = build_package(tmp_path / "c", engine="lightgmb")
    figures, _ = await decide(pool, tmp_path / "two", candidate=alien.path, holdout=holdout)
    assert [figure["passed"] for figure in figures] == [False] * 5
    assert "no kind 'lightgmb'; did you mean 'lightgbm'" in figures[4]["sentence"]
    broken = build_package(tmp_path / "d", model=b"tree\nversion=v4\n")
    figures, _ = await decide(pool, tmp_path / "three", candidate=broken.path, holdout=holdout)
    assert "the package of the candidate is refused: model.txt" in figures[4]["sentence"]
