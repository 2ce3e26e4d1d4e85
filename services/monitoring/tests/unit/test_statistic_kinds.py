"""All statistics, and one from outside, under one suite; what is in the schema and what is in code are the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.kinds.statistics import STATISTIC_SPECS
from capstan_contracts.loop import DriftSpec, MonitoringSpec
from capstan_formats.sketches import Baseline, BaselineColumn, CategorySketch, NumericSketch, Role
from capstan_monitoring.actions.check_statistics import not_installed
from capstan_monitoring.jobs import judge
from capstan_monitoring.jobs.baselines import Watched
from capstan_monitoring.jobs.measure import measure
from capstan_monitoring.statistics.installed import STATISTICS
from capstan_servicekit.jobs.api import Job
from capstan_testkit.distributions import install_distribution
from capstan_testkit.suites.statistics import StatisticBehaviour

OURS = ("chi-square", "jensen-shannon", "missing", "moved-slice", "new-category", "psi", "wasserstein")

FOREIGN = """
from typing import ClassVar, Literal
from capstan_contracts.kinds.statistics import StatisticSpec
from capstan_formats.sketches import homogeneity
from capstan_monitoring.statistics.port import Measured


class MeanShiftSpec(StatisticSpec):
    takes: ClassVar[frozenset] = frozenset(("numeric",))
    kind: Literal["mean-shift"] = "mean-shift"
    absolute: bool = True


class MeanShift:
    spec, unit, floor = MeanShiftSpec, "sd", 0.45

    def measure(self, baseline, window, spec):
        shift = abs(window.mean - baseline.mean) / max(baseline.std, 1e-3)
        return Measured(shift, homogeneity(baseline, window).p_value)

    def in_report(self, floor):
        return None


MEAN_SHIFT = MeanShift()
"""


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that adds `mean-shift`, and one kind that fails on import."""
    install_distribution(
        tmp_path, monkeypatch, name="foreign-statistics",
        modules={"foreign_statistics": FOREIGN, "foreign_broken": "raise RuntimeError('no licence file')"},
        entry_points={
            "capstan.specs.statistics": {"mean-shift": "foreign_statistics:MeanShiftSpec"},
            "capstan.statistics": {"mean-shift": "foreign_statistics:MEAN_SHIFT", "other": "foreign_broken:KIND"},
        },
        families=(STATISTIC_SPECS, STATISTICS),
    )  # fmt: skip


@pytest.mark.parametrize("kind", OURS)
class TestOurs(StatisticBehaviour):
    @pytest.fixture
    def statistic(self, kind: str) -> Any:
        return STATISTICS.get(kind)


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("kind", ["mean-shift"])
class TestForeign(StatisticBehaviour):
    @pytest.fixture
    def statistic(self, kind: str, foreign: None) -> Any:
        return STATISTICS.get(kind)


def test_what_a_loop_may_write_is_what_the_service_measures() -> None:
    assert STATISTIC_SPECS.names == STATISTICS.names == OURS
    assert STATISTIC_SPECS.broken() == STATISTICS.broken() == []
    assert all(STATISTICS.get(kind).spec is STATISTIC_SPECS.get(kind) for kind in OURS)


def judged(folder: Path, drift: DriftSpec, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The job on a window whose number moved by a deviation and whose word is new in a third of the rows.

    The first figure of each column: that of the loop's statistic.
    """
    baseline = Baseline({
        "delay": BaselineColumn(Role.FEATURE, NumericSketch.build([float(n % 100) for n in range(2000)])),
        "carrier": BaselineColumn(Role.FEATURE, CategorySketch.build(["AA", "B6"] * 1000)),
    })  # fmt: skip
    window = baseline.empty_window()
    window["delay"].update([float(n % 100) + 29 for n in range(600)])
    window["carrier"].update(["AA", "B6", "ZZ"] * 200)
    (folder / "partials.jsonl").write_text(json.dumps(window.to_json()) + "\n")
    monkeypatch.setattr(judge, "watched_of", lambda path: Watched(baseline, {}))
    given = {
        "package": "unused", "partials": str(folder / "partials.jsonl"),
        "drift": drift.model_dump(mode="json", by_alias=True),
    }  # fmt: skip
    measured = judge.run(Job(given, folder))
    assert measured.absent == []
    return {column["column"]: dict(column) for column in reversed(measured.statistics)}


def test_each_value_comes_under_the_name_of_what_measured_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drift = DriftSpec.model_validate({"statistic": {"numeric": "wasserstein", "categorical": "new-category"}})
    found = judged(tmp_path, drift, monkeypatch)
    delay, carrier = found["delay"], found["carrier"]
    assert (delay["statistic"], delay["unit"], delay["floor"]) == ("wasserstein", "sd", 0.45)
    assert delay["effect"] == pytest.approx(1.0, abs=0.3)
    assert (carrier["statistic"], carrier["unit"], carrier["floor"]) == ("new-category", "share", 0.05)
    assert carrier["effect"] == pytest.approx(1 / 3)
    plain = judged(tmp_path, DriftSpec(floor=0.4), monkeypatch)
    assert {(one["statistic"], one["floor"]) for one in plain.values()} == {("psi", 0.4)}
    own = DriftSpec.model_validate({"statistic": {"kind": "psi", "floor": 0.3}})
    assert {one["floor"] for one in judged(tmp_path, own, monkeypatch).values()} == {0.3}


def test_a_statistic_from_outside_is_parsed_and_measured(
    foreign: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"drift": {"statistic": {"numeric": {"kind": "mean-shift", "absolute": False}}}}
    drift = MonitoringSpec.model_validate(given).drift
    found = judged(tmp_path, drift, monkeypatch)
    assert (found["delay"]["statistic"], found["delay"]["floor"]) == ("mean-shift", 0.45)
    assert found["delay"]["effect"] == pytest.approx(1.0, abs=0.02)
    assert found["carrier"]["statistic"] == "psi"
    broken = judge.broken_kinds(Job({}, tmp_path)).sentences
    assert len(broken) == 1 and "'other' cannot be used: foreign_broken:KIND fails on import" in broken[0]
    assert STATISTICS.from_outside == ("mean-shift", "other")


def test_what_is_watched_besides_has_a_name_and_a_floor_of_its_own() -> None:
    baseline, window = CategorySketch.build(["AA", "B6"] * 1000), CategorySketch.over(("AA", "B6"))
    window.update(["AA", "B6", None, "ZZ"] * 100)
    found = {one["statistic"]: one for one in measure(baseline, window, DriftSpec(floor=0.9))}
    assert {name: one["floor"] for name, one in found.items()} == {"psi": 0.9, "missing": 0.03, "new-category": 0.05}
    assert found["missing"]["effect"] == 0.25 and found["new-category"]["effect"] == pytest.approx(1 / 3)
    own = DriftSpec.model_validate({"also": [{"kind": "missing", "floor": 0.3}]})
    assert [(one["statistic"], one["floor"]) for one in measure(baseline, window, own)] == [
        ("psi", 0.2),
        ("missing", 0.3),
    ]
    assert [one["statistic"] for one in measure(baseline, window, DriftSpec(also=[]))] == ["psi"]
    chosen = DriftSpec.model_validate({"statistic": {"categorical": "new-category"}})
    assert [one["statistic"] for one in measure(baseline, window, chosen)] == ["new-category", "missing"]


def test_nothing_besides_is_said_where_there_is_nothing_to_say() -> None:
    baseline = CategorySketch.build(["AA", "B6"] * 1000)
    window = baseline.empty_like()
    assert measure(baseline, window, DriftSpec()) == []
    window.update(["AA", "B6"] * 100)
    assert [one["statistic"] for one in measure(baseline, window, DriftSpec())] == ["psi"]


def test_one_that_is_known_and_not_in_code_is_refused_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_distribution(
        tmp_path, monkeypatch, name="half", modules={"half_statistic": FOREIGN},
        entry_points={"capstan.specs.statistics": {"mean-shift": "half_statistic:MeanShiftSpec"}},
        families=(STATISTIC_SPECS, STATISTICS),
    )  # fmt: skip
    drift = DriftSpec.model_validate({"statistic": {"numeric": "mean-shift"}, "also": ["missing", "mean-shift"]})
    (place, rule), (besides, _) = not_installed(drift)
    assert besides == "spec.monitoring.drift.also[1]"
    assert place == "spec.monitoring.drift.statistic.numeric"
    assert rule == "one that is installed here: 'mean-shift' is known, and nothing measures it"
