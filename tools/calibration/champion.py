"""How often the rule of the champion gate accepts, refuses, and cannot tell.

The rule is the product's own (`match`, `behind` and `passes` of `capstan_evaluation.noninferiority`, which the gate
calls, too), the models are simulated: what is true of them is
known. Classifiers are binormal with an AUC of 0.72 and a quarter of the rows positive; answers are right with
probability 0.8; regressions miss by normal errors. `correlation` is that of what two models get wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from capstan_evaluation.arrays import Floats
from capstan_evaluation.errors import Unsuitable
from capstan_evaluation.kinds import find
from capstan_evaluation.metric import Metric
from capstan_evaluation.noninferiority import Answer, NonInferiority, behind, match, passes
from capstan_evaluation.sample import Sample
from capstan_evaluation.tasks import binary, regression

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 1000
PASSES: Final = (Answer.BETTER, Answer.AS_GOOD)
Random = np.random.Generator


def binormal(random: Random, rows: int, qualities: Sequence[float], correlation: float) -> list[Sample]:
    """Classifiers of these true AUCs on the same rows."""
    labels = (random.random(rows) < 0.25).astype(np.float64)
    shifts = [np.sqrt(2) * NormalDist().inv_cdf(quality) for quality in qualities]
    errors = _errors(random, rows, len(qualities), correlation)
    scores = [shift * labels + error for shift, error in zip(shifts, errors, strict=True)]
    return [binary.sample(labels, score, probabilities=False) for score in scores]


def right_or_wrong(random: Random, rows: int, qualities: Sequence[float], correlation: float) -> list[Sample]:
    """Classifiers of these true accuracies on the same rows."""
    labels = (random.random(rows) < 0.25).astype(np.float64)
    cuts = [NormalDist().inv_cdf(quality) for quality in qualities]
    errors = _errors(random, rows, len(qualities), correlation)
    right = [error < cut for cut, error in zip(cuts, errors, strict=True)]
    return [binary.sample(labels, np.where(hit, labels, 1 - labels)) for hit in right]


def misses(random: Random, rows: int, qualities: Sequence[float], correlation: float) -> list[Sample]:
    """Regressions of these true mean absolute errors on the same rows."""
    labels, root = random.normal(size=rows), np.sqrt(np.pi / 2)
    errors = _errors(random, rows, len(qualities), correlation)
    return [regression.sample(labels, labels + root * q * e) for q, e in zip(qualities, errors, strict=True)]


def _errors(random: Random, rows: int, models: int, correlation: float) -> list[Floats]:
    common, own = random.normal(size=rows), np.sqrt(1 - correlation)
    return [np.sqrt(correlation) * common + own * random.normal(size=rows) for _ in range(models)]


@dataclass(frozen=True)
class World:
    """A metric, what a champion has of it, and how models that have more or less of it are made."""

    metric: Metric
    champion: float
    draw: Callable[[Random, int, Sequence[float], float], list[Sample]]

    @property
    def margin(self) -> float:
        """The metric's own, of this champion."""
        return self.metric.margin.of(self.champion)

    def worse(self, margins: float) -> float:
        """The quality of a model that is worse than the champion by so many margins."""
        return self.champion - self.metric.oriented(margins * self.margin)


WORLDS: Final = (
    World(find("auc"), 0.72, binormal),
    World(find("accuracy"), 0.80, right_or_wrong),
    World(find("mae"), 1.0, misses),
)


def judged(world: World, candidate: Sample, champion: Sample, *, resamples: int, seed: int) -> NonInferiority | None:
    """The gate's answer, with the metric's own margin; None where the metric is not defined on these rows."""
    try:
        comparison = match(
            world.metric, candidate, champion, margin=None, confidence=CONFIDENCE, resamples=resamples, seed=seed
        )
    except Unsuitable:
        return None
    return comparison.result


def answers(
    world: World, *, rows: int, margins: float, correlation: float, repeats: int, resamples: int = RESAMPLES
) -> Counter[Answer]:
    """What is said of a candidate that is worse by so many margins, over independent holdouts."""
    random, said = np.random.default_rng((rows, repeats, int(100 * correlation), int(10 * margins))), Counter[Answer]()
    for seed in range(repeats):
        pair = world.draw(random, rows, (world.worse(margins), world.champion), correlation)
        result = judged(world, pair[0], pair[1], resamples=resamples, seed=seed)
        said[Answer.TOO_FEW_ROWS if result is None else result.answer] += 1
    return said


def loss_of_retrains(
    world: World,
    *,
    rows: int,
    step: float,
    look_back: int,
    repeats: int,
    retrains: int = 10,
    correlation: float = 0.8,
    resamples: int = RESAMPLES,
) -> Floats:
    """Margins lost after retrains in a row, [repeats]; each candidate is worse than the champion of its day by `step`.

    As the gate does it, with `tieBreak: newer`: as good as the champion, and as the best of the last `look_back`
    champions on these rows; or shown to be better than the champion, whatever was before.
    """
    random, losses = np.random.default_rng((rows, look_back, int(100 * step))), np.zeros(repeats)
    for repeat in range(repeats):
        champions = [0.0]
        for retrain in range(retrains):
            former = champions[-1 - look_back : -1]
            lost = [champions[-1] + step, champions[-1], *former]
            candidate, *others = world.draw(random, rows, [world.worse(loss) for loss in lost], correlation)
            seed = repeat * retrains + retrain
            now = judged(world, candidate, others[0], resamples=resamples, seed=seed)
            best = _best(world, candidate, others[1:])
            before = None if best is None else judged(world, candidate, best, resamples=resamples, seed=seed)
            if now is not None and passes(now.answer, None if before is None else before.answer, tie=True):
                champions.append(champions[-1] + step)
        losses[repeat] = champions[-1]
    return losses


def _best(world: World, candidate: Sample, former: Sequence[Sample]) -> Sample | None:
    """The one that the candidate falls behind most; all have the same rows."""
    return max(former, key=lambda sample: behind(world.metric, candidate, sample) or 0.0, default=None)


def table(*, rows: Sequence[int], repeats: int, correlations: Sequence[float] = (0.8, 0.95)) -> Iterator[str]:
    """Lines of Markdown: answers by metric, rows, correlation, and true loss in margins."""
    yield "| metric | margin | rows | correlation | worse by (margins) | better or as good | worse | too few rows |"
    yield "|---|---|---|---|---|---|---|---|"
    for world in WORLDS:
        for count in rows:
            times = max(20, min(repeats, repeats * 5000 // count))
            for correlation in correlations:
                for margins in (0.0, 1.0, 2.0):
                    said = answers(world, rows=count, margins=margins, correlation=correlation, repeats=times)
                    passed = sum(said[answer] for answer in PASSES) / times
                    cells = (world.metric.name, f"{world.margin:g}", f"{count:,}", f"{correlation:g}", f"{margins:g}")
                    shares = (passed, said[Answer.WORSE] / times, said[Answer.TOO_FEW_ROWS] / times)
                    yield "| " + " | ".join((*cells, *(f"{share:.3f}" for share in shares))) + " |"


def retrain_table(*, rows: Sequence[int], repeats: int) -> Iterator[str]:
    """Lines of Markdown: margins lost in ten retrains."""
    yield "| rows | each worse by (margins) | former champions | lost, mean (margins) | most | share over one margin |"
    yield "|---|---|---|---|---|---|"
    for count in rows:
        for step in (0.25, 0.5, 1.0):
            for look_back in (0, 10):
                times = max(10, min(repeats, repeats * 5000 // count))
                losses = loss_of_retrains(WORLDS[0], rows=count, step=step, look_back=look_back, repeats=times)
                over = float((losses > 1 + 1e-9).mean())
                yield (
                    f"| {count:,} | {step:g} | {look_back} | {losses.mean():.2f} | {losses.max():.2f} | {over:.2f} |"
                )
