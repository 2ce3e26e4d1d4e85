"""How often the drift alarm is right.

The measuring and the verdict are the product's own (`capstan_monitoring`); the columns are simulated, so that it is
known whether they have moved. Sketches are drawn as counts: between quantiles of N values that were drawn before, the
shares of the next values are those of N + 1 spacings (a Dirichlet distribution), so that no row has to be made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from capstan_contracts.kinds.least_rows import least_rows
from capstan_contracts.loop import DriftSpec
from capstan_formats.sketches import CategorySketch, NumericSketch
from capstan_monitoring.domain.drift import ColumnStatistic, judge_columns, verdict
from capstan_monitoring.jobs.measure import measure

AnySketch = CategorySketch | NumericSketch
Floats = npt.NDArray[np.float64]
Random = np.random.Generator
Pair = tuple[AnySketch, AnySketch]
"""A baseline, and a window made from it."""

SEED: Final = 20261128
BINS: Final = 10
VOCABULARY: Final = 50
WITHOUT_FLOORS: Final = 1e-12
"""A floor that everything reaches: what is left is the test alone."""


@dataclass(frozen=True)
class Column:
    """A column that does not change: how it is drawn. `nulls`: share of rows without a value."""

    draw: Callable[[Random, int, int], Pair]
    nulls: float = 0.0

    def pair(self, random: Random, baseline_rows: int, window_rows: int) -> Pair:
        """A baseline and a window of so many rows."""
        missing = [int(random.binomial(rows, self.nulls)) for rows in (baseline_rows, window_rows)]
        baseline, window = self.draw(random, baseline_rows - missing[0], window_rows - missing[1])
        baseline.nulls, window.nulls = missing
        return baseline, window


def continuous(random: Random, baseline_rows: int, window_rows: int) -> Pair:
    """Any continuous distribution: its quantile bins do not know which."""
    baseline = NumericSketch.over(np.arange(BINS + 1, dtype=np.float64))
    inner = np.diff(np.linspace(0, baseline_rows, BINS + 1).astype(np.int64))
    baseline.counts = np.concatenate([[0], inner, [0]])
    spacings = np.concatenate([[1], inner - np.eye(BINS, dtype=np.int64)[-1], [1]])
    window = baseline.empty_like()
    window.counts = random.multinomial(window_rows, random.dirichlet(spacings))
    return baseline, window


def words(shares: Floats) -> Callable[[Random, int, int], Pair]:
    """Words of these shares; the most frequent ones of the baseline are named. A number with few values is the same."""

    def draw(random: Random, baseline_rows: int, window_rows: int) -> Pair:
        before, now = random.multinomial(baseline_rows, shares), random.multinomial(window_rows, shares)
        seen = np.argsort(-before, kind="stable")[: min(VOCABULARY, int((before > 0).sum()))]
        baseline = CategorySketch.over(tuple(f"w{word}" for word in seen.tolist()))
        window = baseline.empty_like()
        for sketch, counts in ((baseline, before), (window, now)):
            sketch.counts, sketch.other = counts[seen], int(counts.sum() - counts[seen].sum())
        return baseline, window

    return draw


def falling(count: int, power: float) -> Floats:
    """Zipf's law: the share of the k-th word is as k to the -power."""
    weights = np.arange(1, count + 1, dtype=np.float64) ** -power
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def flag(share: float) -> Floats:
    """0 or 1, the second with this share."""
    return np.array([1 - share, share])


FEW: Final = np.array([0.4, 0.3, 0.2, 0.07, 0.03])
TABLE: Final[tuple[Column, ...]] = (
    *[Column(continuous)] * 20,
    *[Column(continuous, nulls=0.02)] * 6,
    *[Column(continuous, nulls=0.001)] * 4,
    *[Column(words(FEW))] * 6,
    *[Column(words(falling(30, 1.1)))] * 4,
    *[Column(words(falling(12, 2.5)), nulls=0.05)] * 4,
    *[Column(words(flag(share))) for share in (0.3, 0.05, 0.002, 0.0001, 0.0, 0.0)],
)
"""Fifty columns as a table has them: measurements, counts, words, flags that are rare or never set, constants."""

MANY_WORDS: Final = Column(words(falling(20_000, 0.5)))
"""Many more words than a vocabulary names: the chosen ones fall back."""


def figures(pairs: list[Pair], policy: DriftSpec) -> list[ColumnStatistic]:
    """What the job measures of columns, numbered."""
    return [
        ColumnStatistic(column=f"c{number}", role="feature", **figure)
        for number, (baseline, window) in enumerate(pairs)
        for figure in measure(baseline, window, policy)
    ]


def alarms(pairs: list[Pair], policy: DriftSpec) -> list[str]:
    """The columns that make the alarm."""
    rows = pairs[0][1].total
    return verdict(judge_columns(figures(pairs, policy), policy), rows, [], policy)[1]


@dataclass(frozen=True)
class Rate:
    """Windows with an alarm among those that were drawn, by the test alone and with the floors of the product."""

    baseline_rows: int
    window_rows: int
    windows: int
    by_test: int
    with_floors: int


def false_alarms(
    random: Random, baseline_rows: int, window_rows: int, windows: int, table: tuple[Column, ...] = TABLE
) -> Rate:
    """Each window against a baseline of its own, without drift."""
    bare, usual = DriftSpec(floor=WITHOUT_FLOORS, min_rows=1), DriftSpec(min_rows=1)
    by_test = with_floors = 0
    for _ in range(windows):
        pairs = [column.pair(random, baseline_rows, window_rows) for column in table]
        by_test += bool(alarms(pairs, bare))
        with_floors += bool(alarms(pairs, usual))
    return Rate(baseline_rows, window_rows, windows, by_test, with_floors)


def shared_values(
    random: Random, per_entity: int, window_rows: int, shared: int, windows: int, *, aware: bool = True
) -> float:
    """Share of windows with an alarm, where `shared` of fifty columns are looked up, `per_entity` rows by one entity.

    Nothing has moved. `aware` is the product; without it rows are taken as independent.
    """
    policy, entities, drifted = DriftSpec(min_rows=1), max(window_rows // per_entity, 1), 0
    least = least_rows(policy.alpha, 50)
    for _ in range(windows):
        statistics: list[ColumnStatistic] = []
        for number in range(50):
            clustered = number < shared
            baseline, window = continuous(random, 50_000, entities if clustered else window_rows)
            repeats = per_entity if clustered else 1
            window.counts = window.counts * repeats
            if clustered and aware and per_entity > 1 and entities < least:
                continue
            measured = measure(baseline, window, policy, design_effect=float(repeats) if aware else 1.0)
            statistics += [ColumnStatistic(column=f"c{number}", role="feature", **figure) for figure in measured]
        drifted += verdict(judge_columns(statistics, policy), window_rows, [], policy)[0] == "drifted"
    return drifted / windows


def alarm_table(*, baselines: Sequence[int], windows_of: Sequence[int], windows: int) -> Iterator[str]:
    """Lines of Markdown: false alarms by sizes."""
    random = np.random.default_rng(SEED)
    yield "| baseline | window | windows | by the test alone | with the floors |"
    yield "|---|---|---|---|---|"
    for baseline_rows, window_rows in product(baselines, windows_of):
        rate = false_alarms(random, baseline_rows, window_rows, windows)
        shares = f"{rate.by_test / windows:.4f} | {rate.with_floors / windows:.4f}"
        yield f"| {baseline_rows:,} | {window_rows:,} | {windows:,} | {shares} |"


def shared_table(*, entity_rows: Sequence[int], windows_of: Sequence[int], windows: int) -> Iterator[str]:
    """Lines of Markdown: false alarms where rows share looked-up values."""
    random = np.random.default_rng(SEED)
    yield "| rows per entity | window | shared columns | windows | as judged | as if independent |"
    yield "|---|---|---|---|---|---|"
    for per_entity, window_rows, shared in product(entity_rows, windows_of, (5, 20)):
        judged, independent = (
            shared_values(random, per_entity, window_rows, shared, windows, aware=aware) for aware in (True, False)
        )
        yield f"| {per_entity} | {window_rows:,} | {shared} | {windows} | {judged:.3f} | {independent:.3f} |"
