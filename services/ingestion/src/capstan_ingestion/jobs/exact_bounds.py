"""Bounds on integers and decimals that no float holds.

Great Expectations makes a float of every bound, so 9007199254740993 would be 9007199254740992 there. Where that could
change an answer, bounds of values, maximum and minimum are held here, by the engine's rules: nulls are left out,
`mostly` is a share of the rows that are not null. A sum over columns is refused there instead of being wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa

from capstan_ingestion.domain import sentences
from capstan_ingestion.domain.contract import Expectation
from capstan_ingestion.jobs.results import result_of
from capstan_ingestion.modalities.port import NO_ROWS, Finding

Number = int | Decimal

ENDS: Final[dict[str, Callable[[Sequence[Number]], Number]]] = {
    "expect_column_max_to_be_between": max,
    "expect_column_min_to_be_between": min,
}
EACH: Final = "expect_column_values_to_be_between"
SUM: Final = "expect_multicolumn_sum_to_equal"


def needs_exact_bounds(expectation: Expectation, table: pa.Table, exact: Container[str]) -> bool:
    """Whether a float could change the answer: for a value of a column (one of `exact`), or for a bound."""
    name = expectation.column
    if expectation.type == SUM:
        return any(column in exact for column in expectation.columns) or _changed(expectation.kwargs.get("sum_total"))
    if expectation.type not in (EACH, *ENDS) or name is None or name not in table.column_names:
        return False
    if not (pa.types.is_integer(table[name].type) or pa.types.is_decimal(table[name].type)):
        return False
    bounds = [expectation.kwargs.get(bound) for bound in ("min_value", "max_value")]
    if not all(bound is None or _is_number(bound) for bound in bounds) or bounds == [None, None]:
        return False
    return name in exact or any(_changed(bound) for bound in bounds)


def evaluate(expectation: Expectation, table: pa.Table) -> Finding:
    """The finding of an expectation that needs exact bounds."""
    kwargs = expectation.kwargs
    low, high = _exact(kwargs.get("min_value")), _exact(kwargs.get("max_value"))
    if expectation.type == SUM:
        return _error(expectation, "sums of numbers from 2^53 on are not exact in the engine; take it out")
    if kwargs.get("row_condition"):
        return _error(
            expectation, "numbers from 2^53 on are compared exactly for a whole column only; leave `row_condition` out"
        )
    if low is not None and high is not None and low > high:
        return _error(expectation, f"min_value {low} is above max_value {high}")

    def inside(value: Number) -> bool:
        above = low is None or (value > low if kwargs.get("strict_min") else value >= low)
        return above and (high is None or (value < high if kwargs.get("strict_max") else value <= high))

    values = table[str(expectation.column)].to_pylist()
    present = [value for value in values if value is not None]
    if expectation.type in ENDS:
        end = ENDS[expectation.type](present) if present else None
        return _of_column(expectation, table.num_rows, end, passed=end is None or inside(end))
    failing = [row for row, value in enumerate(values) if value is not None and not inside(value)]
    mostly = kwargs.get("mostly")
    needed = 1.0 if mostly is None else float(mostly)
    passed = not present or (len(present) - len(failing)) / len(present) >= needed
    if passed:
        return Finding(result_of(expectation, "passed", 0, table.num_rows, ""))
    sentence = sentences.failure(expectation, rows=table.num_rows, failing=len(failing), observed=None)
    rows = np.asarray(failing, dtype=np.int64)
    return Finding(result_of(expectation, "failed", len(failing), table.num_rows, sentence), rows)


def _of_column(expectation: Expectation, rows: int, observed: Number | None, *, passed: bool) -> Finding:
    if passed:
        return Finding(result_of(expectation, "passed", 0, rows, ""))
    sentence = sentences.failure(expectation, rows=rows, failing=0, observed=observed)
    return Finding(result_of(expectation, "failed", 0, rows, sentence), NO_ROWS)


def _error(expectation: Expectation, reason: str) -> Finding:
    return Finding(result_of(expectation, "error", 0, 1, sentences.error(expectation, reason)))


def _is_number(bound: object) -> bool:
    return isinstance(bound, int | float) and not isinstance(bound, bool)


def _changed(bound: object) -> bool:
    """Whether a float would be another number."""
    try:
        return isinstance(bound, int) and float(bound) != bound
    except OverflowError:
        return True


def _exact(bound: int | float | None) -> Number | None:
    """A bound as it is written: 0.1 in the suite is a tenth."""
    return Decimal(repr(bound)) if isinstance(bound, float) else bound
