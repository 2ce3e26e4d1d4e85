"""Which moves of one column of fifty the drift alarm tells: of all rows, and of a part of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from calibration.drift import SEED, TABLE, USUAL, Floats, Pair, Random, figures
from capstan_contracts.loop import DriftSpec
from capstan_formats.sketches import NumericSketch
from capstan_monitoring.domain.drift import judge_columns

ALONE: Final = DriftSpec(min_rows=1, also=[])
"""PSI, and nothing besides."""
BASELINE_ROWS: Final = 50_000


@dataclass(frozen=True)
class Move:
    """`share` of the rows of a normal column move by `deviations`, whatever they were."""

    share: float
    deviations: float

    def __str__(self) -> str:
        rows = "all rows" if self.share == 1 else f"{self.share:.0%} of the rows"
        return f"{rows} by {self.deviations:g} sd"

    def values(self, random: Random, rows: int) -> Floats:
        """A window's values."""
        moved = random.random(rows) < self.share
        return np.asarray(random.normal(0, 1, rows) + self.deviations * moved, dtype=np.float64)


MOVES: Final = (
    Move(1, 0.1), Move(1, 0.25), Move(1, 0.45), Move(1, 1),
    Move(0.1, 1), Move(0.1, 2), Move(0.1, 3), Move(0.2, 1), Move(0.05, 3),
)  # fmt: skip


def told(random: Random, move: Move, window_rows: int, windows: int) -> tuple[float, float, float]:
    """Share of windows in which the column has drifted: by PSI alone, and as judged; and its mean PSI."""
    alone = judged = 0
    effects: list[float] = []
    baseline = NumericSketch.build(random.normal(0, 1, BASELINE_ROWS))
    for _ in range(windows):
        window = baseline.empty_like()
        window.update(move.values(random, window_rows))
        pairs: list[Pair] = [(baseline, window)]
        pairs += [column.pair(random, BASELINE_ROWS, window_rows) for column in TABLE[1:]]
        by_psi, by_all = (judge_columns(figures(pairs, policy), policy) for policy in (ALONE, USUAL))
        alone += any(figure.drifted for figure in by_psi if figure.column == "c0")
        judged += any(figure.drifted for figure in by_all if figure.column == "c0")
        effects += [figure.effect for figure in by_psi if figure.column == "c0"]
    return alone / windows, judged / windows, float(np.mean(effects))


def told_table(*, windows_of: Sequence[int], windows: int, moves: Sequence[Move] = MOVES) -> Iterator[str]:
    """Lines of Markdown: what is told, by move and size, of each move from the same seed."""
    yield "| what moves | window | PSI | told by PSI alone | told as judged |"
    yield "|---|---|---|---|---|"
    for move in moves:
        random = np.random.default_rng(SEED)
        for window_rows in windows_of:
            alone, judged, effect = told(random, move, window_rows, windows)
            yield f"| {move} | {window_rows:,} | {effect:.3f} | {alone:.2f} | {judged:.2f} |"
