"""The one form in which a dataset keeps rows: few types, timestamps in UTC microseconds, no NaN, no metadata."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from capstan_ingestion.domain.columns import Refusal, wrong_type
from capstan_ingestion.domain.file_refused import FileRefused
from capstan_ingestion.domain.schema import meets
from capstan_ingestion.media.types import is_nested, is_uuid, plain_type, stored_type, type_name
from capstan_ingestion.media.values import utc
from capstan_ingestion.modalities.table.exact import as_floats, lost_in_floats

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = int((datetime(1, 1, 2, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000
_LAST = int((datetime(9999, 12, 30, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000


def canonical(
    table: pa.Table, earlier: Mapping[str, str], clocks: set[str], *, declared: Mapping[str, str] | None = None
) -> pa.Table:
    """The table in our types: those `declared`, else those of `earlier`, else the file's; `clocks` tell an instant.

    FileRefused names every column that does not fit. Timestamps without a zone are taken as UTC.
    """
    refused: list[Refusal] = []
    columns: dict[str, pa.ChunkedArray] = {}
    for name in table.column_names:
        try:
            columns[name] = _column(name, table[name], earlier.get(name), (declared or {}).get(name), clocks)
        except FileRefused as error:
            refused.extend(error.refusals)
    if refused:
        raise FileRefused(*refused)
    return pa.table(columns)


def write(table: pa.Table, path: Path) -> None:
    """Write a canonical table; the same rows give the same bytes.

    A column without any value has Parquet's type for that: where files are read together, DuckDB gives it the type that
    another file brings.
    """
    pq.write_table(
        table.replace_schema_metadata(None), path, compression="zstd", row_group_size=1 << 20, store_schema=False
    )


def columns_of(table: pa.Table) -> dict[str, str]:
    """Names and types of a canonical table."""
    return {field.name: type_name(field.type) for field in table.schema}


def _column(
    name: str, values: pa.ChunkedArray, earlier: str | None, declared: str | None, clocks: set[str]
) -> pa.ChunkedArray:
    stored = stored_type(values.type)
    if stored is None and declared is None:
        remedy = f"declare another under `columns`, or leave it out with `ignore: [{name}]`"
        raise FileRefused(
            Refusal("unknown-type", f"{name}: has the type {values.type}, which is not kept; {remedy}", name)
        )
    type_in_file = str(values.type) if stored is None else type_name(stored)
    known = declared or (None if earlier == "null" else earlier)
    wanted = known or ("timestamp" if name in clocks and type_in_file == "date" else type_in_file)
    if name in clocks and wanted != "timestamp":
        raise FileRefused(_no_clock(name, values, type_in_file))
    if type_in_file not in (wanted, "null") and not _may_become(type_in_file, wanted, declared=declared is not None):
        example = _example(values) if type_in_file == "string" else None
        raise FileRefused(wrong_type(name, type_in_file, wanted, declared=declared is not None, example=example))
    target = plain_type(wanted) or stored
    assert target is not None  # a declared type is plain
    made = _cast(name, values, target)
    if wanted == "timestamp":
        _check_years(name, made)
    return made


def _may_become(type_in_file: str, wanted: str, *, declared: bool) -> bool:
    if "<" in type_in_file or is_nested(wanted):
        return False
    # A column that is declared may be read as any plain type that takes all its values.
    return declared or meets(type_in_file, wanted)


def _no_clock(name: str, values: pa.ChunkedArray, type_in_file: str) -> Refusal:
    example = _example(values) if type_in_file == "string" else None
    advice = (
        wrong_type(name, type_in_file, "timestamp", example=example).sentence.rpartition("; ")[2] if example else ""
    )
    remedy = advice or "send timestamps (in CSV: 2013-01-31T05:15:00Z)"
    return Refusal("wrong-type", f"{name}: is {type_in_file}, but it tells a time: {remedy}", name)


def _example(values: pa.ChunkedArray) -> str | None:
    present = values.drop_null()
    return str(present[0].as_py()) if len(present) else None


def _cast(name: str, values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    try:
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        if is_uuid(values.type):
            values = pa.chunked_array(
                [pa.array([None if v is None else str(v) for v in values.to_pylist()], pa.string())]
            )
        if isinstance(values.type, pa.BaseExtensionType):
            values = values.cast(values.type.storage_type)
        if pa.types.is_timestamp(values.type):
            values = utc(values, "UTC")
        elif pa.types.is_duration(values.type):
            values = values.cast(pa.duration("us"))
        if pa.types.is_floating(values.type):
            values = values.cast(pa.float64())
            values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
        values = _halfway(name, values, wanted)
        if pa.types.is_decimal(wanted) and pa.types.is_integer(values.type):
            values = values.cast(pa.decimal128(20, 0))
        _check_whole(name, values, wanted)
        if pa.types.is_decimal(values.type) and pa.types.is_floating(wanted):
            return as_floats(values)
        # Digits below a microsecond are dropped; every other loss is an error.
        truncate = pa.types.is_timestamp(wanted) or pa.types.is_time(wanted)
        options = pc.CastOptions(wanted, allow_time_truncate=truncate)
        return pc.cast(values, options=options)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        text = f"{name}: cannot be held as {type_name(wanted)}: {str(error).splitlines()[0][:200]}"
        raise FileRefused(Refusal("wrong-type", f"{text}; declare another type under `columns`", name)) from error


def _halfway(name: str, values: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """What lies between two types that have no direct way: whole floats as text, 0 and 1 as truth values."""
    if pa.types.is_floating(values.type) and (pa.types.is_string(wanted) or pa.types.is_boolean(wanted)):
        whole = pc.all(pc.equal(pc.floor(values), values), skip_nulls=True).as_py()
        if whole and not _beyond(values):
            values = values.cast(pa.int64())
    if pa.types.is_boolean(wanted) and (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        other = values.filter(pc.invert(pc.fill_null(pc.is_in(values, pa.array([0, 1], values.type)), True)))
        other = other.drop_null()
        if len(other):
            text = f"{name}: {other[0].as_py()} is no truth value; 0 and 1 are, beside true and false"
            raise FileRefused(Refusal("wrong-type", text, name))
    if pa.types.is_boolean(values.type) and (pa.types.is_floating(wanted) or pa.types.is_decimal(wanted)):
        values = values.cast(pa.int64())
    return values


def _beyond(values: pa.ChunkedArray) -> bool:
    """Whether some float is one of those that stand for several integers."""
    largest = pc.max(pc.abs(values)).as_py()
    return largest is not None and largest >= 2.0**53


def _check_whole(name: str, values: pa.ChunkedArray, wanted: pa.DataType) -> None:
    """FileRefused where an integer is or would be a float that stands for several: from 2^53 on."""
    exact = pa.types.is_integer(wanted) or pa.types.is_decimal(wanted)
    if exact and pa.types.is_floating(values.type) and _beyond(values):
        largest = pc.max(pc.abs(values)).as_py()
        text = f"{name}: {largest:.0f} is a float in the file, which stands for several integers: the last digits"
        remedy = "are lost; write the column as integers or text (in pandas: `Int64` keeps integers beside nulls)"
        raise FileRefused(Refusal("wrong-type", f"{text} {remedy}", name))
    if pa.types.is_decimal(values.type) and pa.types.is_floating(wanted):
        _check_digits(name, values)


def _check_digits(name: str, values: pa.ChunkedArray) -> None:
    """FileRefused where a decimal has digits that a float loses, or is an integer beside which it has no neighbour."""
    if values.type.scale == 0:
        ends = [end for end in pc.min_max(values).as_py().values() if end is not None]
        largest = max(map(abs, ends), default=0)
        if largest >= 2**53:
            text = f"{name}: {largest} is an integer that a float does not hold"
            raise FileRefused(Refusal("wrong-type", f"{text}; declare decimal(38,0) or string under `columns`", name))
    lost = lost_in_floats(values)
    if lost is not None:
        text = f"{name}: {lost:f} has more digits than a float holds"
        remedy = f"declare {type_name(values.type)} or string under `columns`"
        raise FileRefused(Refusal("wrong-type", f"{text}; {remedy}", name))


def _check_years(name: str, values: pa.ChunkedArray) -> None:
    ends = pc.min_max(values.cast(pa.int64())).as_py()
    if ends["min"] is not None and not (ends["min"] >= _FIRST and ends["max"] <= _LAST):
        text = f"{name}: an instant lies outside the years 1 to 9999; is its unit right (seconds, not milliseconds)?"
        raise FileRefused(Refusal("timestamp-range", text, name))
