"""What a CSV file's own texts say that its values do not any more."""

from __future__ import annotations

from collections.abc import Container

import pyarrow as pa
import pyarrow.compute as pc

from capstan_ingestion.media.port import Remarks


def remarkable(table: pa.Table, known: Container[str]) -> list[str]:
    """The columns whose texts may tell more than their values: those with nulls, and integers of no `known` type."""
    return [name for name in table.column_names if table[name].null_count or _is_number(table, name, known)]


def remark(table: pa.Table, known: Container[str], texts: pa.Table, remarks: Remarks) -> None:
    """Add what is remarkable about a table that was read from text.

    `known` are columns whose type the dataset knows; `texts` has the remarkable columns as the texts that they are,
    null where a field is empty.
    """
    for name in remarkable(table, known):
        markers = texts[name].filter(pc.and_(pc.is_null(table[name]), pc.is_valid(texts[name])))
        for counted in pc.value_counts(markers).to_pylist():
            remarks.nulls[name][counted["values"]] += counted["counts"]
        if _is_number(table, name, known):
            zeros = pc.fill_null(pc.match_substring_regex(texts[name], r"^\s*[+-]?0\d"), False)
            if pc.any(zeros).as_py():
                remarks.leading_zeros.setdefault(name, texts[name].filter(zeros)[0].as_py())


def _is_number(table: pa.Table, name: str, known: Container[str]) -> bool:
    return name not in known and bool(pa.types.is_integer(table[name].type))
