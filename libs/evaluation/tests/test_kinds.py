"""Metrics by name: ours, strangers', broken ones, and the names that the contracts allow."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from capstan_contracts.kinds.family import Family
from capstan_contracts.kinds.gates import MetricGate
from capstan_contracts.kinds.metrics import METRICS as NAMES
from capstan_contracts.kinds.metrics import METRICS_BY_TASK
from capstan_evaluation import kinds
from capstan_evaluation.errors import UnknownMetric
from capstan_evaluation.kinds import METRICS, find, metrics_of
from capstan_evaluation.metric import Metric
from capstan_evaluation.metrics.auc import AUC
from capstan_evaluation.sample import TASKS
from capstan_evaluation.tasks import binary
from capstan_testkit.distributions import install_distribution

MODULE = """
from dataclasses import replace
from capstan_evaluation.metrics.brier import BRIER
HALF_BRIER = replace(BRIER, name="half_brier", limits=(0, 0.5), per_item=lambda sample: BRIER.per_item(sample) / 2)
"""


@pytest.fixture
def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Family[Metric]:
    """What a process finds that starts beside two distributions of strangers: one works, of the other nothing does."""
    modules = {"acme_metrics": MODULE, "acme_broken": "import a_package_that_is_not_there"}
    working = {"half_brier": "acme_metrics:HALF_BRIER", "auc": "acme_metrics:HALF_BRIER"}
    lost = {"lost": "acme_broken:LOST", "nothing": "acme_metrics:NOTHING", "wrong": "acme_metrics:HALF_BRIER"}
    for name, points in {"acme_metrics": working, "acme_broken": lost}.items():
        install_distribution(tmp_path, monkeypatch, name=name, modules={}, entry_points={"capstan.metrics": points})
    install_distribution(tmp_path, monkeypatch, name="acme_modules", modules=modules, entry_points={})
    family: Family[Metric] = Family(METRICS.group, METRICS.fault)
    monkeypatch.setattr(kinds, "METRICS", family)
    return family


def test_a_strangers_metric_is_found_without_a_change_of_ours(metrics: Family[Metric]) -> None:
    metric = find("half_brier")
    assert metric.value(binary.sample([0, 1], [0.5, 0.5])) == 0.125
    assert metric in metrics_of("binary") and metric not in metrics_of("regression")
    assert set(metrics) == {*NAMES, "half_brier", "lost", "nothing", "wrong"}


def test_a_metric_that_cannot_be_used_is_named_and_the_others_work(metrics: Family[Metric]) -> None:
    assert {metric.name for task in TASKS for metric in metrics_of(task)} == {*NAMES, "half_brier"}
    assert [str(error) for error in metrics.broken()] == [
        "capstan.metrics: the kind 'auc' of acme_metrics cannot be used: "
        "capstan_evaluation.metrics.auc:AUC has that name; it is to get another",
        "capstan.metrics: the kind 'lost' cannot be used: acme_broken:LOST fails on import: "
        "ModuleNotFoundError: No module named 'a_package_that_is_not_there'",
        "capstan.metrics: the kind 'nothing' cannot be used: acme_metrics:NOTHING fails on import: "
        "AttributeError: module 'acme_metrics' has no attribute 'NOTHING'",
        "capstan.metrics: the kind 'wrong' cannot be used: acme_metrics:HALF_BRIER is not a Metric named 'wrong'",
    ]
    with pytest.raises(UnknownMetric, match="the metric 'lost' cannot be used: acme_broken:LOST fails on import"):
        find("lost")
    assert find("auc") is AUC


def test_only_the_metric_that_is_asked_for_is_imported(metrics: Family[Metric]) -> None:
    assert "half_brier" in metrics
    find("auc")
    assert "acme_metrics" not in sys.modules
    find("half_brier")
    assert "acme_metrics" in sys.modules


def test_ours_are_all_usable() -> None:
    assert METRICS.broken() == []
    assert [find(name).name for name in METRICS] == list(METRICS)


def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(UnknownMetric, match=r"there is no metric 'rmsee'; did you mean 'rmse'\?"):
        find("rmsee")
    with pytest.raises(UnknownMetric, match=r"there is no metric 'vibes'; there are: accuracy, auc, average_precision"):
        find("vibes")
    with pytest.raises(UnknownMetric, match="there is no task 'ranking'; tasks: binary"):
        metrics_of("ranking")  # type: ignore[arg-type]


def test_an_installation_without_entry_points_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(kinds, "METRICS", Family(METRICS.group, METRICS.fault))
    with pytest.raises(UnknownMetric, match="there is no metric 'auc'; there are: none"):
        find("auc")


def test_the_contracts_allow_exactly_the_metrics_that_there_are() -> None:
    assert {task: tuple(metric.name for metric in metrics_of(task)) for task in TASKS} == METRICS_BY_TASK
    assert METRICS.names == NAMES


def test_a_loop_that_names_no_metric_is_told_the_nearest_one() -> None:
    assert [MetricGate(metric=name, min=0.1).metric for name in NAMES] == list(NAMES)
    with pytest.raises(ValidationError, match="no metric 'auk'; did you mean 'auc'?"):
        MetricGate(metric="auk", min=0.1)
