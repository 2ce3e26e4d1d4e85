"""How often 95 % intervals hold the truth, and how often quality is falsely called degraded by one who looks after
every few labels.

The intervals are the metrics' own, the truth is that of the distribution which the rows are drawn from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from capstan_evaluation.anytime import confidence_at
from capstan_evaluation.arrays import Floats
from capstan_evaluation.kinds import find
from capstan_evaluation.sample import Sample
from capstan_evaluation.tasks import binary, regression

CONFIDENCE: Final = 0.95
FIRST_LOOK: Final = 100
Random = np.random.Generator


@dataclass(frozen=True)
class World:
    """A metric, its true value, and how rows are drawn that have it."""

    name: str
    metric: str
    truth: float
    draw: Callable[[Random, int], Sample]


def ranked(auc: float, positives: float, spread: float = 1.0) -> World:
    """Normal scores of two classes; `spread` is the standard deviation of the positives' in that of the negatives'."""
    shift = math.hypot(1.0, spread) * NormalDist().inv_cdf(auc)

    def draw(random: Random, rows: int) -> Sample:
        labels = (random.random(rows) < positives).astype(np.float64)
        noise = random.normal(size=rows)
        return binary.sample(labels, np.where(labels == 1, shift + spread * noise, noise), probabilities=False)

    return World(f"auc {auc:g}, {positives:.0%} positive, spread {spread:g}", "auc", auc, draw)


def decided(accuracy: float) -> World:
    """All positive; decided rightly so often."""

    def draw(random: Random, rows: int) -> Sample:
        return binary.sample(np.ones(rows), np.where(random.random(rows) < accuracy, 0.9, 0.1))

    return World(f"accuracy {accuracy:g}", "accuracy", accuracy, draw)


def detected(right: float, positives: float = 0.3) -> World:
    """Decided rightly so often, in either class: f1 is bootstrapped."""
    hits, decided = positives * right, positives * right + (1 - positives) * (1 - right)
    truth = 2 * hits / (decided + positives)

    def draw(random: Random, rows: int) -> Sample:
        labels = (random.random(rows) < positives).astype(np.float64)
        said = np.where(random.random(rows) < right, labels, 1 - labels)
        return binary.sample(labels, 0.1 + 0.8 * said)

    return World(f"f1 {truth:.3g}, {positives:.0%} positive", "f1", truth, draw)


def surprised(said: float, share: float) -> World:
    """One probability for all rows, and so many of them positive: the loss has two values."""
    truth = -share * math.log(said) - (1 - share) * math.log(1 - said)

    def draw(random: Random, rows: int) -> Sample:
        return binary.sample((random.random(rows) < share).astype(np.float64), np.full(rows, said))

    return World(f"logloss, {said:g} said of {share:.0%}", "logloss", truth, draw)


def missed(metric: str, truth: float, error: Callable[[Random, int], Floats]) -> World:
    """A regression with these errors."""

    def draw(random: Random, rows: int) -> Sample:
        return regression.sample(np.zeros(rows), error(random, rows))

    return World(f"{metric} of {error.__name__} errors", metric, truth, draw)


def normal(random: Random, rows: int) -> Floats:
    """Errors without skew; their squares have it."""
    return random.normal(size=rows)


def exponential(random: Random, rows: int) -> Floats:
    """Errors that are seldom large."""
    return random.exponential(size=rows)


WORLDS: Final = (
    *(ranked(auc, share) for auc in (0.6, 0.72, 0.95, 0.99) for share in (0.05, 0.2)),
    *(ranked(auc, 0.2, spread) for auc in (0.72, 0.95) for spread in (0.5, 2.0)),
    *(decided(accuracy) for accuracy in (0.8, 0.98, 0.999)),
    surprised(0.95, 0.9),
    missed("mae", math.sqrt(2 / math.pi), normal),
    missed("rmse", 1.0, normal),
    missed("mae", 1.0, exponential),
)


def coverage(world: World, *, rows: int, repeats: int) -> tuple[float, float, int]:
    """(share of intervals that hold the truth, mean width, samples that had none)."""
    metric, random = find(world.metric), np.random.default_rng((rows, repeats))
    intervals = [metric.interval(world.draw(random, rows), CONFIDENCE) for _ in range(repeats)]
    defined = [interval for interval in intervals if interval is not None]
    if not defined:
        return math.nan, math.nan, repeats
    held = sum(interval.low <= world.truth <= interval.high for interval in defined) / len(defined)
    return held, sum(interval.high - interval.low for interval in defined) / len(defined), repeats - len(defined)


def false_alarms(world: World, *, bound: float, labels: int, every: int, repeats: int, anytime: bool = True) -> float:
    """Share of windows in which the bound is missed with confidence at one look at least.

    `anytime: False` is the fixed interval at every look, from the first labels on: what is not done.
    """
    metric, random, alarms = find(world.metric), np.random.default_rng((labels, every, repeats)), 0
    for _ in range(repeats):
        sample = world.draw(random, labels)
        for count in range(every, labels + 1, every):
            if anytime and count < FIRST_LOOK:
                continue
            confidence = confidence_at(count, FIRST_LOOK, CONFIDENCE) if anytime else CONFIDENCE
            interval = metric.interval(sample.take(np.arange(count)), confidence)
            if interval is not None and interval.high < bound:
                alarms += 1
                break
    return alarms / repeats


def coverage_table(*, rows: Sequence[int], repeats: int) -> Iterator[str]:
    """Lines of Markdown."""
    yield "| metric | rows | held the truth | mean width | no interval |"
    yield "|---|---|---|---|---|"
    for world in WORLDS:
        for count in rows:
            held, width, none = coverage(world, rows=count, repeats=repeats)
            yield f"| {world.name} | {count:,} | {held:.3f} | {width:.3g} | {none} of {repeats} |"


def alarm_table(*, labels: int, repeats: int) -> Iterator[str]:
    """Lines of Markdown: on the bound (false alarms), and below it (how many are found)."""
    yield "| truth | bound | looked at every | fixed interval | confidence sequence |"
    yield "|---|---|---|---|---|"
    cases = [(ranked(auc, 0.2), 0.65) for auc in (0.65, 0.68, 0.6, 0.5)] + [(decided(p), 0.9) for p in (0.9, 0.85)]
    bound = detected(0.8).truth
    cases += [(detected(right), bound) for right in (0.8, 0.75)]
    for world, bound in cases:
        for every in (5, 100):
            shares = [
                false_alarms(world, bound=bound, labels=labels, every=every, repeats=repeats, anytime=anytime)
                for anytime in (False, True)
            ]
            yield f"| {world.name} | {bound:.3g} | {every} labels of {labels:,} | {shares[0]:.3f} | {shares[1]:.3f} |"
