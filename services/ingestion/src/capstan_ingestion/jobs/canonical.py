"""The one form in which a dataset keeps rows: few types, timestamps in UTC microseconds, no NaN, no metadata."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from capstan_ingestion.domain.columns import Refusal, wrong_type
from capstan_ingestion.jobs.file_refused import FileRefused

INSTANT: Final = pa.timestamp("us", "UTC")
ARROW_TYPES: Final[dict[str, pa.DataType]] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "timestamp": INSTANT,
    "date": pa.date32(),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = int((datetime(1, 1, 2, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000
_LAST = int((datetime(9999, 12, 30, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000
_WIDENED = {("int64", "float64"), ("float64", "int64"), ("date", "timestamp")}
"""Changes of type that are made when no value changes with it (pandas turns integers with nulls into floats)."""


def type_name(of: pa.DataType) -> str | None:
    """Our name of an Arrow type; `null` for a column without any value, None where there is none."""
    if pa.types.is_dictionary(of):
        return type_name(of.value_type)
    for name, test in (
        ("int64", pa.types.is_integer),
        ("float64", pa.types.is_floating),
        ("string", lambda t: pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t)),
        ("bool", pa.types.is_boolean),
        ("timestamp", pa.types.is_timestamp),
        ("date", pa.types.is_date),
        ("null", pa.types.is_null),
    ):
        if test(of):
            return name
    return None


def canonical(table: pa.Table, earlier: Mapping[str, str], clocks: set[str]) -> pa.Table:
    """The table in our types, those of `earlier` where it names a column; `clocks` are columns that tell an instant.

    FileRefused names every column that does not fit. Timestamps without a zone are taken as UTC.
    """
    refused: list[Refusal] = []
    columns: dict[str, pa.ChunkedArray] = {}
    for name in table.column_names:
        found = type_name(table[name].type)
        wanted = earlier.get(name) or ("timestamp" if name in clocks and found == "date" else found)
        if found is None:
            text = f"{name}: has the type {table[name].type}; known are {', '.join(ARROW_TYPES)}"
            refused.append(Refusal("unknown-type", text, name))
        elif wanted == "null" or wanted is None:
            text = f"{name}: has no value in any row, so its type is not known; leave it out or send it with a type"
            refused.append(Refusal("untyped-column", text, name))
        elif name in clocks and wanted != "timestamp":
            text = f"{name}: is {found}, but it tells a time: send timestamps (in CSV: 2013-01-31T05:15:00Z)"
            refused.append(Refusal("wrong-type", text, name))
        else:
            try:
                columns[name] = _cast(name, table[name], found, wanted)
            except FileRefused as error:
                refused.extend(error.refusals)
    if refused:
        raise FileRefused(*refused)
    return pa.table(columns)


def write(table: pa.Table, path: Path) -> None:
    """Write a canonical table; the same rows give the same bytes."""
    pq.write_table(
        table.replace_schema_metadata(None), path, compression="zstd", row_group_size=1 << 20, store_schema=False
    )


def columns_of(table: pa.Table) -> dict[str, str]:
    """Names and types of a canonical table."""
    return {field.name: str(type_name(field.type)) for field in table.schema}


def _cast(name: str, values: pa.ChunkedArray, found: str, wanted: str) -> pa.ChunkedArray:
    if found not in (wanted, "null") and (found, wanted) not in _WIDENED:
        raise FileRefused(wrong_type(name, found, wanted))
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if found == "float64":
        values = values.cast(pa.float64())
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    try:
        # Digits below a microsecond are dropped; every other loss is an error.
        options = pc.CastOptions(ARROW_TYPES[wanted], allow_time_truncate=wanted == "timestamp")
        values = pc.cast(values, options=options)
    except pa.ArrowInvalid as error:
        text = f"{name}: cannot be held as {wanted}: {str(error).splitlines()[0][:200]}"
        raise FileRefused(Refusal("wrong-type", text, name)) from error
    if wanted == "timestamp":
        _check_years(name, values)
    return values


def _check_years(name: str, values: pa.ChunkedArray) -> None:
    ends = pc.min_max(values.cast(pa.int64())).as_py()
    if ends["min"] is not None and not (ends["min"] >= _FIRST and ends["max"] <= _LAST):
        text = f"{name}: an instant lies outside the years 1 to 9999; is its unit right (seconds, not milliseconds)?"
        raise FileRefused(Refusal("timestamp-range", text, name))
