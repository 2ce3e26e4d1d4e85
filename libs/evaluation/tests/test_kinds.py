"""Metrics by name: ours, strangers', broken ones, and the names that the contracts allow."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from capstan_contracts.kinds.gates import MetricGate
from capstan_contracts.metrics import METRICS, METRICS_BY_TASK
from capstan_evaluation.errors import UnknownMetric
from capstan_evaluation.kinds import InstalledMetrics, find, installed, metrics_of
from capstan_evaluation.sample import TASKS
from capstan_evaluation.tasks import binary

MODULE = """
from dataclasses import replace
from capstan_evaluation.metrics.brier import BRIER
HALF_BRIER = replace(BRIER, name="half_brier", limits=(0, 0.5), per_item=lambda sample: BRIER.per_item(sample) / 2)
"""


def distribution(folder: Path, name: str, metrics: dict[str, str]) -> None:
    """A distribution as an installer leaves it, with these entry points."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{key} = {value}" for key, value in metrics.items()]
    (info / "entry_points.txt").write_text("\n".join(["[capstan.metrics]", *lines, ""]))


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two distributions of strangers: one works, of the other nothing does."""
    installed()  # this process's own, looked up before the strangers come and kept
    (tmp_path / "acme_metrics.py").write_text(MODULE)
    (tmp_path / "acme_broken.py").write_text("import a_package_that_is_not_there\n")
    distribution(tmp_path, "acme-metrics", {"half_brier": "acme_metrics:HALF_BRIER", "auc": "acme_metrics:HALF_BRIER"})
    distribution(
        tmp_path,
        "acme-broken",
        {"lost": "acme_broken:LOST", "nothing": "acme_metrics:NOTHING", "wrong": "acme_metrics:HALF_BRIER"},
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in ("acme_metrics", "acme_broken"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return tmp_path


def test_a_strangers_metric_is_found_without_a_change_of_ours(foreign: Path) -> None:
    found = InstalledMetrics()
    metric = found.find("half_brier")
    assert metric.value(binary.sample([0, 1], [0.5, 0.5])) == 0.125
    assert metric in found.of_task("binary") and metric not in found.of_task("regression")
    assert set(found.names()) == {*METRICS, "half_brier", "lost", "nothing", "wrong"}


def test_a_metric_that_cannot_be_used_is_named_and_the_others_work(foreign: Path) -> None:
    found = InstalledMetrics()
    assert {metric.name for metric in found.usable()} == {*METRICS, "half_brier"}
    assert dict(found.unusable()) == {
        "auc of acme-metrics": "capstan-evaluation has a metric of that name",
        "lost": "acme_broken:LOST of acme-broken fails on import: "
        "ModuleNotFoundError: No module named 'a_package_that_is_not_there'",
        "nothing": "acme_metrics:NOTHING of acme-broken fails on import: "
        "AttributeError: module 'acme_metrics' has no attribute 'NOTHING'",
        "wrong": "acme_metrics:HALF_BRIER of acme-broken is not a Metric named 'wrong'",
    }
    with pytest.raises(UnknownMetric, match="'lost' cannot be used: acme_broken:LOST of acme-broken fails on import"):
        found.find("lost")
    assert found.find("auc") is find("auc")


def test_only_the_metric_that_is_asked_for_is_imported(foreign: Path) -> None:
    found = InstalledMetrics()
    assert "half_brier" in found.names()
    found.find("auc")
    assert "acme_metrics" not in sys.modules
    found.find("half_brier")
    assert "acme_metrics" in sys.modules


def test_ours_are_all_usable() -> None:
    assert installed().unusable() == {}
    assert [find(name).name for name in installed().names()] == list(installed().names())


def test_an_unknown_name_is_told_with_the_nearest_ones() -> None:
    with pytest.raises(UnknownMetric, match=r"there is no metric 'rmsee'; known: rmse"):
        find("rmsee")
    with pytest.raises(UnknownMetric, match=r"there is no metric 'vibes'; known: accuracy, auc, average_precision"):
        find("vibes")
    with pytest.raises(UnknownMetric, match="there is no task 'ranking'; tasks: binary"):
        metrics_of("ranking")  # type: ignore[arg-type]


def test_an_installation_without_entry_points_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(UnknownMetric, match="no distribution registers any"):
        InstalledMetrics().find("auc")


def test_the_contracts_allow_exactly_the_metrics_that_there_are() -> None:
    assert {task: tuple(metric.name for metric in metrics_of(task)) for task in TASKS} == METRICS_BY_TASK
    assert installed().names() == METRICS


def test_a_loop_that_names_no_metric_is_told_the_nearest_one() -> None:
    assert [MetricGate(metric=name, min=0.1).metric for name in METRICS] == list(METRICS)
    with pytest.raises(ValidationError, match="no metric 'auk'; did you mean 'auc'?"):
        MetricGate(metric="auk", min=0.1)
