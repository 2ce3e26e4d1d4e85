"""A canonical table as the data frames that Great Expectations looks at, in which no integer has become a float.

pandas makes floats of a column of integers with a null in it, and 9007199254740993 is 9007199254740992 then. What an
expectation is about decides which frame it is held against:

- types: integers and booleans without their nulls, for the type of a column does not hang on whether one is missing;
- statistics (mean, deviation, quantiles, ...): everything as floats, which they are made of anyhow;
- values: numbers that a float does not hold (beyond 2^53, or with more digits) as Python's integers and decimals, whose
  comparisons are exact; other decimals as floats, since the suite's numbers are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Final, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from capstan_ingestion.domain.contract import Arguments
from capstan_ingestion.modalities.table.exact import as_floats, lost_in_floats

View = Literal["types", "statistics", "values"]
WHOLE: Final = 2**53
"""From here on a float does not tell an integer from its neighbour."""

_TYPES: Final = frozenset({
    "expect_column_type_to_be", "expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list",
})  # fmt: skip
_STATISTICS: Final = frozenset({
    "expect_column_kl_divergence_to_be_less_than", "expect_column_mean_to_be_between",
    "expect_column_median_to_be_between", "expect_column_quantile_values_to_be_between",
    "expect_column_stdev_to_be_between", "expect_column_sum_to_be_between",
    "expect_column_value_z_scores_to_be_less_than", "expect_column_values_to_not_be_outliers",
})  # fmt: skip


def view_of(expectation: str) -> View:
    """The frame that an expectation of this type is held against."""
    return "types" if expectation in _TYPES else "statistics" if expectation in _STATISTICS else "values"


def beyond_floats(column: pa.ChunkedArray) -> bool:
    """Whether a float would change a value of a column, or make two of them one."""
    if pa.types.is_integer(column.type):
        ends = pc.min_max(column).as_py()
        return ends["min"] is not None and max(-ends["min"], ends["max"]) >= WHOLE
    return bool(pa.types.is_decimal(column.type)) and lost_in_floats(column) is not None


def exact_columns(table: pa.Table) -> frozenset[str]:
    """The columns that are beyond floats. It takes a decimal column of a million rows a second: ask once."""
    return frozenset(name for name in table.column_names if beyond_floats(table[name]))


def frames(table: pa.Table, views: set[View], exact: Collection[str]) -> Mapping[View, pd.DataFrame]:
    """The frames that are asked for; one object for all where the table has nothing to tell them apart.

    `exact`: the columns that are beyond floats.
    """
    gaps = [
        field.name
        for field in table.schema
        if (pa.types.is_integer(field.type) or pa.types.is_boolean(field.type)) and table[field.name].null_count
    ]
    # Dates as midnights: the engine compares no date with a text, and none with an instant.
    plain = _as_floats(table).to_pandas(date_as_object=False)
    made: dict[View, pd.DataFrame] = dict.fromkeys(views, plain)
    if exact and "values" in views:
        made["values"] = plain.assign(**{name: pd.Series(table[name].to_pylist(), dtype=object) for name in exact})
    if gaps and "types" in views:
        made["types"] = plain.assign(**{name: _filled(table[name]).to_pandas() for name in gaps})
    return made


def exact_set(kwargs: Arguments) -> Arguments:
    """The arguments for a column of decimals that is held exactly: the numbers of a set as decimals."""
    values = kwargs.get("value_set")
    if not isinstance(values, list):
        return kwargs
    return {**kwargs, "value_set": [Decimal(repr(value)) if isinstance(value, float) else value for value in values]}


def _as_floats(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(index, field.name, as_floats(table.column(index)))
    return table


def _filled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(column, False if pa.types.is_boolean(column.type) else 0)
