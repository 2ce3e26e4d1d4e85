"""What a CSV file's own texts say that its values do not any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from capstan_ingestion.media.port import Remarks


def remark(table: pa.Table, known: Sequence[str], texts: Callable[[list[str]], pa.Table], remarks: Remarks) -> None:
    """Add what is remarkable about a table that was read from text.

    `known` are columns whose type the dataset knows; `texts` reads columns again as the texts that they are, null where
    a field is empty. Only columns with nulls or with numbers are.
    """
    numbers = [name for name in table.column_names if name not in known and pa.types.is_integer(table[name].type)]
    names = [name for name in table.column_names if name in numbers or table[name].null_count]
    if not names:
        return
    raw = texts(names)
    for name in names:
        markers = raw[name].filter(pc.and_(pc.is_null(table[name]), pc.is_valid(raw[name])))
        for counted in pc.value_counts(markers).to_pylist():
            remarks.nulls[name][counted["values"]] += counted["counts"]
        if name in numbers:
            zeros = pc.fill_null(pc.match_substring_regex(raw[name], r"^\s*[+-]?0\d"), False)
            if pc.any(zeros).as_py():
                remarks.leading_zeros.setdefault(name, raw[name].filter(zeros)[0].as_py())
