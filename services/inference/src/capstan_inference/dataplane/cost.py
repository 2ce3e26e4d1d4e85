"""What a model costs, measured at its load: whether a request is answered on the event loop is decided by it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from capstan_formats.epoch import datetime_of
from capstan_inference.dataplane.bodies import Batch
from capstan_packages.kinds.model import ModelHeader
from capstan_packages.signature import REQUEST

_FEW, _MANY, _TRIES = 2, 64, 3
_SLOW_ROW_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds from checked JSON to the records of the log: of a request as such, and of each of its rows."""

    call_s: float
    row_s: float

    def of(self, rows: int) -> float:
        """What a request of so many rows is expected to take."""
        return self.call_s + rows * self.row_s


def measure(run: Callable[[int], object]) -> Cost:
    """The cost of `run(rows)`: the quickest of some tries, so that a busy machine is not taken for a slow model.

    Many rows only where few are quick, so that a slow model is not asked for seconds at its load.
    """
    few = _quickest(run, _FEW)
    if few > _SLOW_ROW_S * _FEW:
        return Cost(0.0, few / _FEW)
    row_s = max(0.0, _quickest(run, _MANY) - few) / (_MANY - _FEW)
    return Cost(max(0.0, few - _FEW * row_s), row_s)


def _quickest(run: Callable[[int], object], rows: int) -> float:
    took = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        run(rows)
        took.append(time.perf_counter() - started)
    return min(took)


def trial_batch(header: ModelHeader, rows: int) -> Batch:
    """Rows that differ, as real ones do: on equal ones branch prediction flatters a tree model."""
    fields = [field for field in header.signature.inputs if field.source == REQUEST]
    return Batch({field.name: [_cell(field.dtype, row) for row in range(rows)] for field in fields}, rows)


def null_batch(header: ModelHeader, rows: int) -> Batch:
    """Rows without a value, which every model answers and for which nothing is looked up."""
    fields = [field for field in header.signature.inputs if field.source == REQUEST]
    return Batch({field.name: [None] * rows for field in fields}, rows)


def _cell(dtype: str, row: int) -> Any:
    if dtype == "float64":
        return math.sin(row)
    if dtype == "int64":
        return row
    if dtype == "bool":
        return row % 2 == 0
    return datetime_of(row * 3_600_000_000).isoformat() if dtype == "timestamp" else f"trial-{row}"
