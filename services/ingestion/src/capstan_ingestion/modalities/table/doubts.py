"""Columns that may have been read as what they are not: warnings of the verdict, for columns nobody has declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from capstan_contracts.loop import DatasetSpec
from capstan_ingestion.domain.doubts import looks_like
from capstan_ingestion.media.port import Remarks
from capstan_ingestion.modalities.port import Finding
from capstan_ingestion.modalities.table.columns import clocks_of, note

_LOOKED_AT: Final = 50_000
_LONG: Final = 1e7
"""Whole numbers from here on are rather codes than measured."""


def doubts(read: pa.Table, made: pa.Table, dataset: DatasetSpec, earlier: Mapping[str, str]) -> Iterator[Finding]:
    """One warning per doubtful column of a file, `read` as the medium gave it and `made` canonical.

    A column that is declared, or that the dataset has already, was decided upon before.
    """
    decided = {name for name, type_ in earlier.items() if type_ != "null"} | set(dataset.columns) | clocks_of(dataset)
    for name in made.column_names:
        if name in decided:
            continue
        doubt = _of_type(read.schema.field(name)) or _of_values(made[name])
        if doubt:
            yield note("looks-like", name, f"{name}: {doubt}", "warning")


def remarks_of(remarks: Remarks, dataset: DatasetSpec) -> Iterator[Finding]:
    """What the reader of the medium remarked, under the dataset's names of the columns."""
    for file_name, counts in remarks.nulls.items():
        name = dataset.rename.get(file_name, file_name)
        told = " and ".join(f"{count:,} {text!r}" for text, count in sorted(counts.items()))
        text = f"{name}: {told} were read as null; `nulls` under `media` says which texts are"
        yield note("null-markers", name, text, "info")
    for file_name, example in remarks.leading_zeros.items():
        name = dataset.rename.get(file_name, file_name)
        if name not in dataset.columns:
            text = f"{name}: has numbers with leading zeros ({example!r}) and is stored as int64 without them: declare"
            yield note("looks-like", name, f"{text} `string` under `columns` if they are codes", "warning")


def _of_type(field: pa.Field) -> str | None:
    kind = getattr(field.type, "extension_name", None) or (field.metadata or {}).get(b"ARROW:extension:name", b"")
    kind = kind.decode() if isinstance(kind, bytes) else kind
    if kind == "pandas.period":
        return "is a period of pandas and is stored as its number; write instants instead (`.dt.to_timestamp()`)"
    if pa.types.is_duration(field.type):
        return "is a duration and is stored as its microseconds; declare int64 under `columns` if that is meant"
    return None


def _of_values(column: pa.ChunkedArray) -> str | None:
    if pa.types.is_string(column.type):
        return looks_like([text for text in pc.unique(column.slice(0, _LOOKED_AT)).to_pylist() if text is not None])
    if not pa.types.is_floating(column.type):
        return None
    values = column.drop_null()
    if not len(values) or not pc.all(pc.equal(pc.floor(values), values)).as_py():
        return None
    largest = pc.max(pc.abs(values)).as_py()
    if largest < _LONG:
        return None
    return (
        f"looks like whole numbers ({largest:.0f}) and is stored as float64: declare int64 under `columns`, or string "
        "if they are codes"
    )
