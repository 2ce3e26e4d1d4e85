"""Which simulation belongs into which page of docs/statistics, at which sizes, and how it is drawn."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calibration import champion, drift, drift_told, intervals
from calibration.picture import Chart, draw


@dataclass(frozen=True)
class Table:
    """`lines(whole)` are those of a table of Markdown."""

    page: str
    name: str
    lines: Callable[[bool], Iterable[str]]
    chart: Chart | None = None


def _coverage(whole: bool) -> Iterable[str]:
    sizes = (30, 60, 200, 500, 5000) if whole else (60, 500)
    return intervals.coverage_table(rows=sizes, repeats=2000 if whole else 200)


def _alarms(whole: bool) -> Iterable[str]:
    return intervals.alarm_table(labels=1000 if whole else 400, repeats=400 if whole else 20)


def _answers(whole: bool) -> Iterable[str]:
    sizes = (100, 200, 500, 1000, 2000, 5000, 13_000, 50_000) if whole else (100, 500)
    return champion.table(rows=sizes, repeats=400 if whole else 60)


def _retrains(whole: bool) -> Iterable[str]:
    return champion.retrain_table(rows=(500, 5000, 13_000) if whole else (500,), repeats=40 if whole else 5)


def _drift(whole: bool) -> Iterable[str]:
    if whole:
        return drift.alarm_table(baselines=(3_000, 50_000, 300_000), windows_of=(300, 3_000, 50_000), windows=2000)
    return drift.alarm_table(baselines=(3_000,), windows_of=(300, 3_000), windows=60)


def _shared(whole: bool) -> Iterable[str]:
    if whole:
        return drift.shared_table(entity_rows=(1, 10, 30, 100), windows_of=(500, 3_000, 30_000), windows=200)
    return drift.shared_table(entity_rows=(30,), windows_of=(3_000,), windows=20)


def _told(whole: bool) -> Iterable[str]:
    if whole:
        return drift_told.told_table(windows_of=(300, 3_000, 50_000), windows=100)
    return drift_told.told_table(windows_of=(3_000,), windows=10)


TABLES: Final = (
    Table("drift.md", "drift", _drift),
    Table("drift.md", "told", _told),
    Table("drift.md", "shared", _shared),
    Table(
        "intervals.md",
        "coverage",
        _coverage,
        Chart("Share of 95 % intervals that hold the truth", "rows", "held the truth", ("metric",), 0.95, 0.8, 1.0),
    ),
    Table("intervals.md", "alarms", _alarms),
    Table("champion-gate.md", "answers", _answers),
    Table("champion-gate.md", "retrains", _retrains),
)


def written(docs: Path, table: Table, lines: Sequence[str], *, whole: bool) -> None:
    """Put the table, and its picture, into its page. ValueError where the page has no place for it."""
    page = docs / table.page
    size = "whole" if whole else "small: as a trial, without --whole"
    body = [f"<!-- calibration: {table.name} -->", "", *lines, "", f"Made by `make calibrate` ({size})."]
    if table.chart is not None:
        (docs / f"{table.name}.svg").write_text(draw(table.chart, lines), encoding="utf-8")
        body += ["", f"![{table.chart.title}]({table.name}.svg)"]
    place = re.compile(rf"<!-- calibration: {re.escape(table.name)} -->.*?<!-- end -->", re.DOTALL)
    text, places = place.subn(lambda _: "\n".join([*body, "", "<!-- end -->"]), page.read_text(encoding="utf-8"))
    if places != 1:
        raise ValueError(
            f"{page.name}: `<!-- calibration: {table.name} -->` ... `<!-- end -->` once, not {places} times"
        )
    page.write_text(text, encoding="utf-8")
