"""How often the drift alarm is right.

The measuring and the verdict are the product's own (`capstan_monitoring`); the columns are simulated, so that it is
known whether they have moved. Sketches are drawn as counts: between quantiles of N values that were drawn before, the
shares of the next values are those of N + 1 spacings (a Dirichlet distribution), so that no row has to be made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from capstan_contracts.kinds.statistics import MissingSpec, MovedSliceSpec, NewCategorySpec
from capstan_contracts.loop import DriftSpec
from capstan_formats.sketches import CategorySketch, NumericSketch
from capstan_monitoring.domain.drift import ColumnStatistic, judge_columns, least_of, too_little, verdict
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
"""A floor that everything reaches."""
BARE: Final = DriftSpec(
    floor=WITHOUT_FLOORS,
    min_rows=1,
    also=[kind(floor=WITHOUT_FLOORS) for kind in (MissingSpec, MovedSliceSpec, NewCategorySpec)],
)
"""Nothing has a floor, what columns are watched for besides neither: what is left is the test alone."""
USUAL: Final = DriftSpec(min_rows=1)


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
"""Many more words than a vocabulary names: those that are named were chosen for their counts, and fall back."""


class Tabulated(NamedTuple):
    """Columns with a name, and one window in so many is drawn of them."""

    name: str
    columns: tuple[Column, ...]
    one_in: int = 1


TABLES: Final = (Tabulated("50", TABLE), Tabulated("one of 20,000 words", (MANY_WORDS,), one_in=20))
"""A usual table, and the case that is known to be bad, for which few windows do."""


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


class Rate(NamedTuple):
    """Windows with an alarm among those that were drawn, by the test alone and with the floors of the product."""

    by_test: int
    with_floors: int


def false_alarms(
    random: Random, baseline_rows: int, window_rows: int, windows: int, table: tuple[Column, ...] = TABLE
) -> Rate:
    """Each window against a baseline of its own, without drift."""
    by_test = with_floors = 0
    for _ in range(windows):
        pairs = [column.pair(random, baseline_rows, window_rows) for column in table]
        if alarms(pairs, BARE):  # a floor only takes alarms away
            by_test += 1
            with_floors += bool(alarms(pairs, USUAL))
    return Rate(by_test, with_floors)


class Shared(NamedTuple):
    """Share of windows with an alarm: as they are judged, and as if their rows were independent."""

    judged: float
    independent: float


def shared_values(random: Random, per_entity: int, window_rows: int, shared: int, windows: int) -> Shared:
    """Where `shared` of fifty columns are looked up, `per_entity` rows by one entity. Nothing has moved."""
    entities, judged, independent = max(window_rows // per_entity, 1), 0, 0
    names = [f"c{number}" for number in range(len(TABLE))]
    for _ in range(windows):
        looked_up = {name: continuous(random, 50_000, entities) for name in names[:shared]}
        for _, window in looked_up.values():
            window.counts = window.counts * per_entity
        own = _measured({name: continuous(random, 50_000, window_rows) for name in names[shared:]}, 1)
        judged += _alarm(own + _measured(looked_up, per_entity), names, window_rows)
        independent += _alarm(own + _measured(looked_up, 1), names, window_rows)
    return Shared(judged / windows, independent / windows)


def _measured(pairs: Mapping[str, Pair], design_effect: float) -> list[ColumnStatistic]:
    """The figures of the columns that can be judged, of as many as `TABLE` has."""
    least = least_of(map(str, range(len(TABLE))), USUAL)
    return [
        ColumnStatistic(column=name, role="feature", **figure)
        for name, (baseline, window) in pairs.items()
        if too_little(window.total, design_effect, least) is None
        for figure in measure(baseline, window, USUAL, design_effect=design_effect)
    ]


def _alarm(statistics: list[ColumnStatistic], names: Collection[str], window_rows: int) -> bool:
    figures = judge_columns(statistics, USUAL)
    unjudged = set(names) - {figure.column for figure in figures}
    return verdict(figures, window_rows, [], USUAL, unjudged)[0] == "drifted"


def alarm_table(
    *, baselines: Sequence[int], windows_of: Sequence[int], windows: int, tables: Sequence[Tabulated] = TABLES
) -> Iterator[str]:
    """Lines of Markdown: false alarms by sizes, of each table from the same seed."""
    yield "| columns | baseline | window | windows | by the test alone | with the floors |"
    yield "|---|---|---|---|---|---|"
    for name, table, one_in in tables:
        drawn = windows // one_in
        random = np.random.default_rng(SEED)
        for baseline_rows, window_rows in product(baselines, windows_of):
            rate = false_alarms(random, baseline_rows, window_rows, drawn, table)
            shares = f"{rate.by_test / drawn:.4f} | {rate.with_floors / drawn:.4f}"
            yield f"| {name} | {baseline_rows:,} | {window_rows:,} | {drawn:,} | {shares} |"


def shared_table(*, entity_rows: Sequence[int], windows_of: Sequence[int], windows: int) -> Iterator[str]:
    """Lines of Markdown: false alarms where rows share looked-up values, of each number from the same seed."""
    yield "| rows per entity | window | shared columns | windows | as judged | as if independent |"
    yield "|---|---|---|---|---|---|"
    for per_entity in entity_rows:
        random = np.random.default_rng(SEED)
        for window_rows, shared in product(windows_of, (5, 20)):
            judged, independent = shared_values(random, per_entity, window_rows, shared, windows)
            yield f"| {per_entity} | {window_rows:,} | {shared} | {windows} | {judged:.3f} | {independent:.3f} |"
