"""From statistics per column to a verdict on a window.

A column has drifted when its p-value, corrected over all judged columns by Benjamini and Hochberg (1995), is under the
false discovery rate AND its effect reaches the floor: with many rows everything is significant, with few rows
every effect is large. A column has a figure for each thing that it is watched for. An alarm needs the same column to
have drifted in k of the last n windows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from capstan_contracts.events import DriftFigure
from capstan_contracts.kinds.least_rows import least_rows
from capstan_contracts.loop import DriftSpec
from capstan_monitoring.domain.window import WindowState


@dataclass(frozen=True)
class ColumnStatistic:
    """What a job measured of one column, under the name that the statistic gives itself.

    `effect` and `floor` are in `unit`; `p_value` is that of the statistic's test.
    """

    column: str
    role: Literal["feature", "prediction", "label"]
    statistic: str
    unit: str
    effect: float
    floor: float
    p_value: float


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Benjamini-Hochberg adjusted p-values, in the order given (JRSS B 57, 1995; step-up, made monotone)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    result, smallest = [0.0] * len(p_values), 1.0
    for rank in range(len(order), 0, -1):
        index = order[rank - 1]
        smallest = min(smallest, p_values[index] * len(order) / rank)
        result[index] = smallest
    return result


def judge_columns(statistics: Sequence[ColumnStatistic], policy: DriftSpec) -> list[DriftFigure]:
    """The figures of columns that are not ignored: drifted ones first, then the others, each by its effect in floors.

    Labels and seasonal columns are never drifted. Seasonal ones are reported, and left out of the correction: they are
    not tests that could raise an alarm.
    """
    shown = [stat for stat in statistics if stat.column not in policy.ignore]
    judged = [stat for stat in shown if stat.column not in policy.seasonal and stat.role != "label"]
    corrected = dict(zip(map(_name, judged), adjusted([stat.p_value for stat in judged]), strict=True))
    figures = [
        DriftFigure(
            column=stat.column, role=stat.role, statistic=stat.statistic, unit=stat.unit, effect=stat.effect,
            floor=stat.floor, p_value=stat.p_value,
            adjusted_p=corrected.get(_name(stat), stat.p_value), seasonal=stat.column in policy.seasonal,
            drifted=corrected.get(_name(stat), 1.0) < policy.alpha and stat.effect >= stat.floor,
        )
        for stat in shown
    ]  # fmt: skip
    return sorted(figures, key=lambda figure: (not figure.drifted, -figure.strength))


def _name(stat: ColumnStatistic) -> tuple[str, str]:
    """What tells figures of a window apart."""
    return stat.column, stat.statistic


def tested(columns: Iterable[str], policy: DriftSpec) -> set[str]:
    """The columns whose tests can raise an alarm, of those that are no labels."""
    return {column for column in columns if column not in policy.ignore and column not in policy.seasonal}


def least_of(columns: Iterable[str], policy: DriftSpec) -> int:
    """The fewest rows that the test of each of these columns needs, judged together or not: one number in a window."""
    return least_rows(policy.alpha, max(1, len(tested(columns, policy))))


def too_little(rows: int, design_effect: float, least: int) -> int | None:
    """What rows that share looked-up values are worth, where that is too little to judge them; None where it is not."""
    worth = round(rows / design_effect)
    return worth if design_effect > 1 and 0 < worth < least else None


def rows_needed(columns: Iterable[str], policy: DriftSpec) -> int:
    """The fewest rows that get a verdict: what the loop asks for, and what the test needs for so many columns."""
    return max(policy.min_rows, least_of(columns, policy))


def judged(figures: Sequence[DriftFigure]) -> set[str]:
    """The columns that these figures judge: those that are only shown are not among them."""
    return {figure.column for figure in figures if not figure.seasonal and figure.role != "label"}


def verdict(
    figures: Sequence[DriftFigure],
    rows: int,
    earlier: Sequence[Sequence[DriftFigure]],
    policy: DriftSpec,
    unjudged: Collection[str] = (),
) -> tuple[WindowState, list[str]]:
    """The verdict on a window and the columns that make the alarm.

    `earlier` are the figures of the windows before this one, newest first, same model version. `unjudged` are the
    columns that have no figure: a window of which nothing could be judged is not quiet.
    """
    columns = judged(figures)
    if not columns or rows < rows_needed(columns.union(unjudged), policy):
        return WindowState.TOO_FEW_ROWS, []
    k, n = policy.persistence
    drifted = list(dict.fromkeys(figure.column for figure in figures if figure.drifted))
    recent = [{figure.column for figure in window if figure.drifted} for window in earlier[: n - 1]]
    persistent = [column for column in drifted if 1 + sum(column in window for window in recent) >= k]
    if persistent:
        return WindowState.DRIFTED, persistent
    return (WindowState.SUSPECT if drifted else WindowState.QUIET), []


def holding(alarmed: Iterable[str], figures: Sequence[DriftFigure], policy: DriftSpec) -> list[str]:
    """The columns of an alarm that this window has not judged: while there are any, the alarm stays."""
    return sorted(tested(alarmed, policy) - judged(figures))


def why_no_verdict(figures: Sequence[DriftFigure], rows: int, unjudged: Collection[str], policy: DriftSpec) -> str:
    """The sentence to `too-few-rows`."""
    needed = rows_needed(judged(figures).union(unjudged), policy)
    if rows < needed:
        return f"too few rows: {rows}, and {needed} are needed for a verdict"
    return "no column could be judged, hence no verdict"


def strongest(figures: Sequence[DriftFigure], count: int = 3) -> str:
    """The first columns in words, each by its first figure: `delay 5.12 (psi), prediction 0.90 (psi)`."""
    first: dict[str, DriftFigure] = {}
    for figure in figures:
        first.setdefault(figure.column, figure)
    return ", ".join(
        f"{figure.column} {figure.effect:.2f} ({figure.statistic})" for figure in list(first.values())[:count]
    )


def evidence(figures: Sequence[DriftFigure], columns: Sequence[str]) -> Mapping[str, float]:
    """Effects of the columns that made the alarm; of one with several figures the first."""
    effects: dict[str, float] = {}
    for figure in figures:
        if figure.column in columns:
            effects.setdefault(figure.column, round(figure.effect, 4))
    return effects
