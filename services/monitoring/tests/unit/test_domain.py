"""The rules: correction, verdict, persistence, guard, grid, keys, columns, part."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from capstan_contracts.loop import DriftSpec, LoopPart, MonitoringSpec, RetrainSpec
from capstan_monitoring.actions.consider_retrain import labels_until
from capstan_monitoring.domain.columns import find
from capstan_monitoring.domain.drift import (
    ColumnStatistic,
    adjusted,
    evidence,
    holding,
    judge_columns,
    rows_needed,
    strongest,
    verdict,
    why_no_verdict,
)
from capstan_monitoring.domain.guard import PastRetrain, refusal
from capstan_monitoring.domain.instants import instant, micros
from capstan_monitoring.domain.join import join_key, key_of, prediction_key
from capstan_monitoring.domain.part import MonitorPart, broken_rules, changes
from capstan_monitoring.domain.windows import Grid, report_path

NOON = datetime(2013, 5, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjusted_p_values_are_those_of_scipy(p_values: list[float]) -> None:
    np.testing.assert_allclose(adjusted(p_values), false_discovery_control(p_values, method="bh"), atol=1e-12)


def test_no_columns_no_p_values() -> None:
    assert adjusted([]) == []
    assert judge_columns([], DriftSpec()) == []


def column(name: str, effect: float, p_value: float, role: Any = "feature") -> ColumnStatistic:
    return ColumnStatistic(
        column=name, role=role, statistic="psi", unit="nats", effect=effect, floor=0.2, p_value=p_value
    )


def test_drift_needs_significance_and_effect() -> None:
    policy = DriftSpec(alpha=0.01, seasonal=["temp"], ignore=["id"])
    figures = judge_columns(
        [
            column("a", 0.5, 1e-9), column("small", 0.1, 1e-9), column("noisy", 0.5, 0.02), column("temp", 0.9, 1e-9),
            column("id", 9.0, 0.0), column("late", 0.9, 1e-9, "label"), column("prediction", 0.2, 1e-9, "prediction"),
        ],
        policy,
    )  # fmt: skip
    assert {one.column for one in figures if one.drifted} == {"a", "prediction"}
    assert [one.column for one in figures if not one.drifted][0] in {"temp", "late"}
    assert {one.column for one in figures if one.seasonal} == {"temp"}
    assert "id" not in {one.column for one in figures}
    # Columns that can raise no alarm take no part in the correction.
    assert next(one for one in figures if one.column == "noisy").adjusted_p == 0.02


@pytest.mark.parametrize(
    ("persistence", "earlier", "expected"),
    [
        ((1, 1), [], "drifted"),
        ((2, 2), [], "suspect"),
        ((2, 2), [["a"]], "drifted"),
        ((2, 2), [["b"]], "suspect"),
        ((2, 3), [[], ["a"]], "drifted"),
        ((2, 3), [[], [], ["a"]], "suspect"),
        ((3, 4), [["a"], [], ["a"]], "drifted"),
    ],
)
def test_an_alarm_needs_k_of_n_windows(persistence: tuple[int, int], earlier: list[list[str]], expected: str) -> None:
    policy = DriftSpec(persistence=persistence)

    def window(names: list[str]) -> Any:
        return judge_columns([column(name, 0.9, 0.0) for name in names], policy)

    state, columns = verdict(window(["a"]), 1000, [window(names) for names in earlier], policy)
    assert (state, columns) == (expected, ["a"] if expected == "drifted" else [])


def test_few_rows_are_never_judged_and_quiet_is_quiet() -> None:
    policy = DriftSpec(min_rows=100)
    figures = judge_columns([column("a", 0.9, 0.0)], policy)
    assert verdict(figures, 99, [], policy) == ("too-few-rows", [])
    assert verdict(judge_columns([column("a", 0.1, 0.5)], policy), 100, [], policy) == ("quiet", [])
    assert evidence(figures, ["a"]) == {"a": 0.9}


def test_the_strongest_is_one_that_alarmed() -> None:
    few_rows = column("loud", 5.0, 0.3)
    figures = judge_columns([few_rows, column("temp", 9.0, 0.0), column("a", 0.5, 0.0)], DriftSpec(seasonal=["temp"]))
    assert [figure.column for figure in figures] == ["a", "temp", "loud"]
    assert strongest(figures, 1) == "a 0.50 (psi)"


def test_a_column_is_judged_for_each_thing_that_it_is_watched_for() -> None:
    nulls = ColumnStatistic("a", "feature", "missing", "share", effect=0.05, floor=0.03, p_value=1e-9)
    figures = judge_columns([column("a", 0.06, 1e-9), nulls], DriftSpec())
    assert [(one.statistic, one.drifted) for one in figures] == [("missing", True), ("psi", False)]
    assert verdict(figures, 1000, [], DriftSpec()) == ("drifted", ["a"])
    assert evidence(figures, ["a"]) == {"a": 0.05}


def test_a_column_is_named_once_for_all_that_has_drifted_of_it() -> None:
    part = ColumnStatistic("a", "feature", "moved-slice", "share", effect=0.2, floor=0.05, p_value=1e-9)
    figures = judge_columns([column("a", 0.3, 1e-9), part, column("b", 0.25, 1e-9)], DriftSpec())
    assert all(one.drifted for one in figures)
    assert strongest(figures) == "a 0.20 (moved-slice), b 0.25 (psi)"


@pytest.mark.parametrize(("columns", "least"), [(1, 43), (50, 60), (500, 72)])
def test_a_window_that_is_too_small_for_its_test_has_too_few_rows(columns: int, least: int) -> None:
    policy = DriftSpec(min_rows=20)
    figures = judge_columns([column(f"c{n}", 0.0, 1.0) for n in range(columns)], policy)
    assert rows_needed({figure.column for figure in figures}, policy) == least
    assert verdict(figures, least - 1, [], policy) == ("too-few-rows", [])
    assert verdict(figures, least, [], policy) == ("quiet", [])


def test_a_window_of_which_nothing_could_be_judged_is_not_quiet() -> None:
    policy = DriftSpec(seasonal=["temp"])
    assert verdict([], 1000, [], policy, ["a"]) == ("too-few-rows", [])
    shown = judge_columns([column("temp", 0.1, 0.5), column("late", 0.1, 0.5, "label")], policy)
    assert verdict(shown, 1000, [], policy) == ("too-few-rows", [])
    assert why_no_verdict([], 1000, ["a"], policy) == "no column could be judged, hence no verdict"
    assert verdict(judge_columns([column("b", 0.1, 0.5)], policy), 1000, [], policy, ["a"]) == ("quiet", [])


def test_columns_without_a_figure_count_among_those_that_the_rows_must_suffice_for() -> None:
    """And several figures of one column once: what the job asks of shared rows and what the verdict asks is one."""
    policy = DriftSpec(min_rows=20)
    nulls = ColumnStatistic("c0", "feature", "missing", "share", effect=0.0, floor=0.03, p_value=1.0)
    figures = judge_columns([column("c0", 0.0, 1.0), nulls], policy)
    others = [f"c{number}" for number in range(1, 50)]
    assert why_no_verdict(figures, 59, others, policy) == "too few rows: 59, and 60 are needed for a verdict"
    assert verdict(figures, 59, [], policy, others)[0] == "too-few-rows"
    assert verdict(figures, 60, [], policy, others)[0] == "quiet"
    assert verdict(figures, 43, [], policy)[0] == "quiet"


def test_an_alarm_is_held_by_its_columns_that_were_not_judged() -> None:
    policy = DriftSpec(seasonal=["season"], ignore=["id"])
    figures = judge_columns([column("a", 0.1, 0.5)], policy)
    assert holding(["a"], figures, policy) == [] == holding(["season", "id"], figures, policy)
    assert holding(["b", "a"], figures, policy) == ["b"]


def test_so_few_rows_that_nothing_could_be_told_are_refused_with_the_number(make_part: Callable[..., LoopPart]) -> None:
    ((place, rule),) = broken_rules(MonitorPart.of(make_part(drift={"minRows": 20}).resolved))
    assert place == "spec.monitoring.drift.minRows"
    assert rule.startswith("60 or more: ") and "one standard deviation" in rule
    assert broken_rules(MonitorPart.of(make_part(drift={"minRows": 60}).resolved)) == []
    ((_, stricter),) = broken_rules(MonitorPart.of(make_part(drift={"minRows": 60, "alpha": 0.001}).resolved))
    assert stricter.startswith("72 or more: ")


POLICY = RetrainSpec(cool_down=DAY, budget_per_day=2)


def past(state: str, days: float) -> PastRetrain:
    return PastRetrain(state, NOON - days * DAY)


@pytest.mark.parametrize("state", ["waiting", "requested", "running"])
def test_one_retrain_at_a_time(state: str) -> None:
    assert refusal(NOON, [past(state, 30)], POLICY) == "another retrain of this loop is under way"


def test_cool_down_and_budget() -> None:
    assert refusal(NOON, [], POLICY) is None
    assert "the cool-down lasts until 2013-05-05 18:00" in (refusal(NOON, [past("promoted", 0.75)], POLICY) or "")
    assert refusal(NOON, [past("promoted", 1)], POLICY) is None
    short = RetrainSpec(cool_down=timedelta(minutes=1), budget_per_day=2)
    spent = [past("promoted", 0.1), past("promoted", 0.2)]
    assert refusal(NOON, spent, short) == "the budget of 2 retrain(s) a day is spent"
    assert refusal(NOON + DAY, spent, short) is None


@pytest.mark.parametrize(("refused", "days"), [(0, 1), (1, 2), (2, 4), (3, 8), (9, 64)])
def test_each_refused_candidate_doubles_the_wait(refused: int, days: int) -> None:
    history = [PastRetrain("refused", NOON)] * refused + [PastRetrain("promoted", NOON)]
    assert refusal(NOON + (days - 0.01) * DAY, history, POLICY) is not None
    assert refusal(NOON + days * DAY, history, POLICY) is None


def test_labels_are_complete_a_day_before_the_end_or_after_a_longer_delay() -> None:
    assert labels_until(NOON, timedelta(0)) == NOON - DAY
    assert labels_until(NOON, DAY) == NOON - DAY
    assert labels_until(NOON, 7 * DAY) == NOON + 5 * DAY


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)), st.integers(1, 365 * 86400))
def test_every_moment_is_in_exactly_one_window(moment: datetime, seconds: int) -> None:
    grid = Grid(NOON, timedelta(seconds=seconds))
    aware = moment.replace(tzinfo=UTC)
    start = grid.start_of(aware)
    assert start <= aware < grid.end_of(start)
    assert (start - grid.origin) % grid.length == timedelta(0)


def test_by_default_windows_of_days_begin_at_midnight_and_weeks_on_mondays() -> None:
    origin = MonitoringSpec().window_origin
    assert Grid(origin, DAY).start_of(NOON) == datetime(2013, 5, 5, tzinfo=UTC)
    assert Grid(origin, 7 * DAY).start_of(NOON) == datetime(2013, 4, 29, tzinfo=UTC)


def test_a_report_is_named_after_the_start_of_its_window() -> None:
    assert report_path("p", "l", NOON) == "/v1/projects/p/monitors/l/windows/2013-05-05T12:00:00Z/report"


def test_points_in_time_have_one_spelling() -> None:
    wanted = micros(NOON)
    assert wanted is not None and instant(wanted) == NOON
    for same in ("2013-05-05T12:00:00Z", "2013-05-05 12:00:00", "2013-05-05T14:00:00+02:00", wanted, float(wanted)):
        assert micros(same) == wanted
    no_instants: tuple[Any, ...] = (None, True, "soon", float("nan"), float("inf"), [], {}, "0001-01-01T00:00:00+23:59")
    for none in no_instants:
        assert micros(none) is None
    assert micros(10**400) == 10**400


def test_a_key_is_its_values_and_nothing_less() -> None:
    assert join_key([12, "UA"]) == join_key([12.0, "UA"]) != join_key(["12", "UA"])
    assert join_key([12, None]) is None
    row = {"flight": 12, "at": "2013-05-05T12:00:00Z"}
    assert key_of(row, ["flight", "at"], ["at"]) == join_key([12, micros(NOON)])
    for broken in ({"flight": 12}, row | {"flight": [1]}, row | {"at": "soon"}, row | {"flight": float("nan")}):
        assert key_of(broken, ["flight", "at"], ["at"]) is None
    assert len(prediction_key("01890000-0000-7000-8000-000000000000")) == 32


def test_columns_are_found_with_or_without_the_views_name() -> None:
    assert find("weather__temp", {"weather__temp", "temp"}) == "weather__temp"
    assert find("weather__temp", {"temp"}) == "temp"
    assert find("temp", {"weather__temp"}) == "weather__temp"
    assert find("temp", {"weather__temp", "indoor__temp"}) is None
    assert find("temp", {"template", "weather__template"}) is None


def test_a_part_survives_its_json_and_names_its_changes(make_part: Callable[..., LoopPart]) -> None:
    part = MonitorPart.of(make_part().resolved)
    assert MonitorPart.from_json(part.to_json()) == part
    assert (part.keys, part.time_keys, part.label) == (("flight", "departure"), ("departure",), "late")
    assert changes(part, part) == []
    assert len(changes(None, part)) == 1
    [sentence] = changes(part, MonitorPart.of(make_part(drift={"minRows": 201}).resolved))
    assert sentence == "monitoring: monitoring.drift.min_rows 200 becomes 201"
    assert broken_rules(part) == []
    assert broken_rules(MonitorPart.of(make_part(window="0s").resolved))[0][0] == "spec.monitoring.window"
    assert broken_rules(MonitorPart.of(make_part(drift={"persistence": [1, 101]}).resolved))
