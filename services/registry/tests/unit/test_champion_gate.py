"""The champion gate: what passes is shown, too few rows say so, and the rows are new to both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calibration.champion import binormal, misses
from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gates import ChampionGate
from capstan_evaluation.sample import Sample
from capstan_registry.domain.verdict import Verdict, verdict
from capstan_registry.gates.champion import CHAMPION
from capstan_registry.gates.decide import decide
from capstan_registry.gates.evidence.contest import Rival
from capstan_registry.gates.evidence.learned import Learned
from capstan_registry.jobs.scoring import Unusable
from capstan_servicekit.jobs.api import Job

BARE = Learned(1, known=True, items=np.zeros(0, dtype=np.bool_))


class Simulated:
    """Evidence about models whose true AUC is known."""

    def __init__(self, rows: int, candidate: float, champion: float, *former: float | str, seed: int = 0) -> None:
        known = [quality for quality in former if isinstance(quality, float)]
        samples = binormal(np.random.default_rng(seed), rows, (candidate, champion, *known), 0.8)
        self.candidate, self.resamples = samples[0], 1000
        self.rival: Rival | None = self._rival(9, samples[1])
        rivals = iter(samples[2:])
        self._former = [
            self._rival(8 - number, next(rivals)) if isinstance(quality, float) else Unusable(quality)
            for number, quality in enumerate(former)
        ]

    def former(self, look_back: int) -> list[Rival | Unusable]:
        return self._former[:look_back]

    def progress(self, done: int, total: int, message: str) -> None:
        """Nobody looks."""

    def _rival(self, version: int, champion: Sample) -> Rival | Any:
        none: Any = None
        return Rival(version, self.candidate, champion, none, 0, 0, (BARE, BARE), None, None)


def judge(evidence: Any, **spec: Any) -> GateFigure:
    return CHAMPION.judge(evidence, ChampionGate(metric="auc", **spec))


def answers(figure: GateFigure) -> list[str]:
    return [figure.figures[name]["answer"] for name in ("against_champion", "against_best") if name in figure.figures]


def test_a_worse_model_does_not_pass_for_lack_of_evidence() -> None:
    """500 rows, and the candidate is worse by 0.03: half of them passed when not being shown worse was enough."""
    figures = [judge(Simulated(500, 0.69, 0.72, seed=seed)) for seed in range(30)]
    assert sum(figure.passed is True for figure in figures) <= 1
    assert {verdict([figure]) for figure in figures if figure.passed is None} == {Verdict.REFUSED}


def test_too_few_rows_is_an_answer_that_names_the_rows_needed_and_does_not_pass() -> None:
    figure = judge(Simulated(300, 0.72, 0.72))
    assert figure.passed is None and figure.refuses and not figure.waits
    against = figure.figures["against_champion"]
    assert answers(figure) == ["too few rows to tell"] and against["lower"] < -0.01 < against["upper"]
    assert against["margin"] == 0.01 and against["confidence"] == 0.95
    expected = 300 * ((1.645 + 0.842) * against["standard_error"] / 0.01) ** 2
    assert against["rows_for_equal"] == pytest.approx(expected, rel=0.01)
    assert against["rows_needed"] > 300
    assert "passes against the champion alone in 80 of 100 cases" in figure.sentence
    assert "Too few rows to tell, so it does not pass" in figure.sentence
    assert f"{against['rows_for_equal']:,} rows" in figure.sentence and f"{against['rows_needed']:,}" in figure.sentence


def test_the_rows_that_were_named_are_enough() -> None:
    """An equal candidate passes about as often as was said, with the rows that were said to be needed."""
    needed = judge(Simulated(300, 0.72, 0.72), margin=0.04).figures["against_champion"]["rows_for_equal"]
    passed = [judge(Simulated(needed, 0.72, 0.72, seed=seed), margin=0.04).passed is True for seed in range(1, 41)]
    assert 0.55 <= np.mean(passed) <= 0.98


@pytest.mark.parametrize(("tie", "passed"), [("newer", True), ("keep", False)])
def test_between_equals_the_tie_break_decides_and_says_so(tie: str, passed: bool) -> None:
    figure = judge(Simulated(20_000, 0.72, 0.72), tie_break=tie)
    assert answers(figure) == ["as good"] and figure.passed is passed
    assert f"`tieBreak: {tie}`" in figure.sentence and figure.figures["tie_break"] == tie


def test_a_better_candidate_passes_under_either_tie_break() -> None:
    for tie in ("keep", "newer"):
        figure = judge(Simulated(5000, 0.76, 0.72), tie_break=tie)
        assert answers(figure) == ["better"] and figure.passed is True


def test_a_clearly_worse_candidate_is_told_so() -> None:
    figure = judge(Simulated(5000, 0.66, 0.72))
    assert figure.passed is False and answers(figure) == ["worse"]
    assert "worse than the champion by more than the margin" in figure.sentence


def test_ten_steps_down_of_which_each_is_small_do_not_add_up() -> None:
    """As good as the champion of the day, and worse than the best one before it by three margins."""
    figure = judge(Simulated(13_000, 0.69, 0.69, 0.70, 0.72))
    assert answers(figure) == ["as good", "worse"] and figure.passed is False
    assert figure.figures["former"] == [8, 7] and figure.figures["against_best"]["version"] == 7
    assert "worse than version 7, the best of the champions before" in figure.sentence
    assert judge(Simulated(13_000, 0.69, 0.69, 0.70, 0.72), look_back=0).passed is True


def test_a_candidate_that_is_better_than_the_champion_passes_and_a_better_former_one_is_named() -> None:
    figure = judge(Simulated(13_000, 0.72, 0.66, 0.76))
    assert answers(figure) == ["better", "worse"] and figure.passed is True
    assert "Version 8 is better still" in figure.sentence


def test_a_former_champion_that_refuses_is_named_where_the_rows_do_not_tell_of_the_champion() -> None:
    """What refuses is that it is shown to be worse than the former one, so that stands in the sentence, too."""
    figure = judge(Simulated(1000, 0.66, 0.66, 0.80, seed=1))
    assert answers(figure) == ["too few rows to tell", "worse"] and figure.passed is False
    assert "Too few rows to tell, so it does not pass" in figure.sentence
    assert "It is worse than version 8, the best of the champions before, by more than the margin" in figure.sentence


def test_a_former_champion_that_cannot_be_compared_is_named() -> None:
    figure = judge(Simulated(13_000, 0.72, 0.70, "version 8: its package is gone"))
    assert figure.passed is True and figure.figures["not_compared"] == ["version 8: its package is gone"]


def few_rows(evidence: Simulated, version: int, rows: int, champion: float, seed: int = 3) -> None:
    """A former champion with which the candidate has only these rows in common."""
    random = np.random.default_rng(seed)
    candidate, other = binormal(random, rows, (0.5, champion), 0.0)
    none: Any = None
    evidence._former.insert(0, Rival(version, candidate, other, none, 0, 0, (BARE, BARE), None, None))


def test_a_former_champion_on_a_handful_of_rows_is_not_the_best_one_by_noise() -> None:
    evidence = Simulated(13_000, 0.72, 0.71, 0.70)
    few_rows(evidence, 6, 12, 0.95)
    figure = judge(evidence)
    assert figure.passed is True and figure.figures["former"] == [8]
    assert figure.figures["against_best"]["version"] == 8
    (reason,) = figure.figures["not_compared"]
    assert reason.startswith("version 6: too few rows in common, ") and reason.endswith(" of the rarer class of 12")


def test_where_the_best_former_champion_cannot_be_compared_the_next_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = Simulated(13_000, 0.69, 0.69, 0.76, 0.72)
    best = evidence._former[0]
    assert isinstance(best, Rival)
    evidence._former[0] = replace(best, champion=best.champion.take(np.arange(50)))
    figure = judge(evidence)
    assert figure.figures["against_best"]["version"] == 7 and figure.passed is False
    (reason,) = figure.figures["not_compared"]
    assert reason.startswith("version 8: ") and figure.figures["former"] == [7]


def test_the_margin_of_an_error_is_a_share_of_the_champions_and_a_stated_one_counts() -> None:
    evidence = Simulated(2000, 0.72, 0.72)
    samples = misses(np.random.default_rng(1), 2000, (1.0, 1.0), 0.8)
    evidence.candidate = samples[0]
    evidence.rival = evidence._rival(9, samples[1])
    own = CHAMPION.judge(evidence, ChampionGate(metric="mae"))  # type: ignore[arg-type]
    against = own.figures["against_champion"]
    assert against["margin"] == pytest.approx(0.02 * against["champion"])
    stated = CHAMPION.judge(evidence, ChampionGate(metric="mae", margin=0.5))  # type: ignore[arg-type]
    assert stated.figures["against_champion"]["margin"] == 0.5 and stated.passed is True


def part(folder: Path, name: str, rows: slice, make_holdout: Callable[..., Path]) -> Path:
    """Some of 2,000 rows that lie an hour apart, oldest first."""
    whole = pq.read_table(make_holdout(folder / "whole.parquet", rows=2000))
    hours = np.datetime64("2013-03-01T00:00:00", "us") + np.arange(2000) * np.timedelta64(1, "h")
    whole = whole.set_column(whole.column_names.index("scheduled"), "scheduled", pa.array(hours))
    pq.write_table(whole.slice(rows.start, rows.stop - rows.start), folder / name)
    return folder / name


@pytest.fixture
def compared_on(
    tmp_path: Path, make_package: Callable[..., Path], make_holdout: Callable[..., Path], loop_body: Callable[..., Any]
) -> Callable[..., GateFigure]:
    """Judge version 1 against champion 2, each given as (rows of its training set, rows of its holdout)."""
    package = make_package(tmp_path / "package")

    def files(version: int, learned: slice | None, held: slice) -> dict[str, Any]:
        holdout = part(tmp_path, f"holdout-{version}.parquet", held, make_holdout)
        made: dict[str, Any] = {"version": version, "package": str(package), "holdout": str(holdout), "gone": []}
        made["training_set"] = None
        if learned is not None:
            made["training_set"] = str(part(tmp_path, f"set-{version}.parquet", learned, make_holdout))
        return made

    def judged(candidate: tuple[Any, slice], champion: tuple[Any, slice], gate: Any = None) -> GateFigure:
        given = {
            "candidate": files(1, *candidate), "champion": files(2, *champion), "former": [], "event_time": "scheduled",
            "gates": [gate or {"noWorseThanChampion": {"metric": "auc", "margin": 0.05}}],
            "definitions": loop_body()["definitions"], "task": None, "requested_by": "ada", "approval": None,
            "resamples": 1000,
        }  # fmt: skip
        return GateFigure.model_validate(decide(Job(given, tmp_path)).figures[0])

    return judged


def test_going_back_to_an_older_version_is_judged_on_rows_that_the_champion_has_not_learned(
    compared_on: Callable[..., GateFigure], tmp_path: Path
) -> None:
    """The champion was trained on the older version's holdout since; what it held out itself is new to both."""
    figure = compared_on((slice(0, 800), slice(600, 800)), (slice(0, 1400), slice(1200, 1400)))
    against = figure.figures["against_champion"]
    assert (against["rows"], against["left_out"], against["from_others"]) == (200, 200, 200)
    hour = datetime(2013, 3, 1, tzinfo=UTC).timestamp() / 3600
    times = [datetime.fromisoformat(against[name]).timestamp() / 3600 - hour for name in ("rows_from", "rows_until")]
    assert times == [1200, 1399]
    until = [datetime.fromisoformat(seen["learned_until"]).timestamp() / 3600 - hour for seen in against["seen"]]
    assert until == [599, 1199] and all(seen["known"] for seen in against["seen"])
    assert "that neither has learned" in figure.sentence
    assert "200 rows of the candidate's holdout are left out for that, 200 come from" in figure.sentence
    table = pq.read_table(tmp_path / "items.parquet")
    assert table.column_names == ["item_id", "label", "score_candidate", "score_champion"] and table.num_rows == 400


def test_where_no_row_is_left_the_gate_says_so(compared_on: Callable[..., GateFigure]) -> None:
    figure = compared_on((slice(0, 800), slice(600, 800)), (slice(0, 1400), slice(500, 600)))
    assert figure.passed is False
    assert "no row is left to compare on: all 300 rows that version 1 and version 2 have held out" in figure.sentence


def test_an_ordinary_retrain_is_judged_on_all_of_its_holdout(compared_on: Callable[..., GateFigure]) -> None:
    figure = compared_on((slice(0, 1400), slice(1200, 1400)), (slice(0, 800), slice(600, 800)))
    against = figure.figures["against_champion"]
    assert (against["rows"], against["left_out"], against["from_others"]) == (200, 0, 0) and figure.passed is True


def test_what_a_version_has_learned_may_not_be_known_and_that_is_said(compared_on: Callable[..., GateFigure]) -> None:
    figure = compared_on((slice(0, 1400), slice(1200, 1400)), (None, slice(600, 800)))
    assert figure.figures["against_champion"]["seen"][1] == {
        "version": 2,
        "known": False,
        "why": "no training set was kept",
    }
    assert "what version 2 learned from is not known" in figure.sentence


def test_slices_are_compared_on_these_rows_too(compared_on: Callable[..., GateFigure]) -> None:
    gate = {"slice": "carrier", "metric": "auc", "maxDrop": 0.2, "minRows": 10}
    figure = compared_on((slice(0, 800), slice(600, 800)), (slice(0, 1400), slice(1200, 1400)), gate)
    counted = [*figure.figures["slices"], *figure.figures["not_judged"]]
    assert sum(entry["rows"] for entry in counted) == 200
