"""What a drift statistic is to the job that measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from capstan_contracts.kinds.statistics import StatisticSpec
from capstan_formats.sketches import CategorySketch, NumericSketch

AnySketch = NumericSketch | CategorySketch


@dataclass(frozen=True)
class Measured:
    """How far a window is from the baseline, and how likely so much is without drift.

    `effect` is in the statistic's unit, 0 where nothing has moved and independent of how many rows there are but for
    noise. `p_value` is that of a test of the same two sketches, uniform or larger without drift.
    """

    effect: float
    p_value: float


class StatisticKind(Protocol):
    """One kind of drift statistic. Stateless; `measure` is called once per column and window, in a worker process.

    Both sketches have the same cells, and something was counted in each. `measure` gets the spec that `spec` parsed,
    hence Any here; each implementation names its own class. It has no side effect that a killed process leaves behind.
    """

    @property
    def spec(self) -> type[StatisticSpec]:
        """The model of its spec, as in `capstan.specs.statistics`; its `takes` says which sketches `measure` gets."""
        ...

    @property
    def unit(self) -> str:
        """What `effect` is counted in, as it is printed after the number."""
        ...

    @property
    def floor(self) -> float:
        """The effect under which nothing is called drift unless the loop says otherwise; in `unit`."""
        ...

    def measure(self, baseline: AnySketch, window: AnySketch, spec: Any) -> Measured:
        """Compare. SketchError where the sketches cannot be compared: the column is then not judged."""
        ...

    def in_report(self, floor: float) -> tuple[str, float] | None:
        """Evidently's name of this statistic and its threshold for our floor; None when Evidently has none like it."""
        ...
