"""JSON lines from outside: one object per line."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from capstan_contracts.kinds.media import JsonLinesMedium
from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.domain.file_refused import FileRefused, check_header, named, too_large
from capstan_ingestion.media.foreign_bytes import check_begin, short
from capstan_ingestion.media.port import Reading, Remarks
from capstan_ingestion.media.text import as_utf8
from capstan_ingestion.media.types import plain_type
from capstan_ingestion.media.values import NUMBERS, check_digits, instants, is_text, numbers, too_big, without_nulls

_ROW: Final = re.compile(r"in row (\d+)")
_CHANGED: Final = re.compile(r"Column\(/(.*)\) changed from (\S+) to (\S+)")
_HEAD: Final = 1 << 20
_TEXT_FIRST: Final = ("timestamp", "date", "time", "bool", *NUMBERS)
"""Types that are read as whatever the file has, text or number, and made afterwards."""


class JsonLines:
    """The medium `jsonlines`."""

    kind: ClassVar[str] = "jsonlines"

    def read(self, path: Path, how: Reading) -> pa.Table:
        """The whole file, but for ignored columns; a name that an object does not have is null in its row."""
        spec = how.spec if isinstance(how.spec, JsonLinesMedium) else JsonLinesMedium(zone=how.spec.zone)
        check_begin(path, "JSON lines")
        size = path.stat().st_size
        if size > how.limits.max_bytes:
            raise too_large(size, how.limits)
        with tempfile.TemporaryDirectory() as folder:
            utf8 = as_utf8(path, spec.encoding, self.kind, Path(folder) / "utf8.jsonl")
            table = _parse(utf8, spec, how)
            check_header(table.column_names, how.limits, how.ignored)
            if table.num_rows == 0 and not how.may_be_empty:
                raise FileRefused(Refusal("no-rows", "the file holds no object"))
            for name in table.column_names:
                if name not in how.types and name not in how.ignored and too_big(table[name]):
                    check_digits(name, _texts(utf8, name))
        kept = [name for name in table.column_names if name not in how.ignored]
        columns = [_finished(name, table[name], how.types.get(name), spec, how.remarks) for name in kept]
        return pa.table(columns, names=named(kept))


def _parse(path: Path, spec: JsonLinesMedium, how: Reading) -> pa.Table:
    known = {
        name: plain
        for name, wanted in how.types.items()
        if not wanted.startswith(_TEXT_FIRST) and (plain := plain_type(wanted)) is not None and wanted != "null"
    }
    # Arrow takes a text for an instant and forgets whether it had a zone, so such columns are read as they are.
    guessed = _guessed(path, known)
    table = _table(path, known | dict.fromkeys(guessed, pa.string()))
    late = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    if late:
        guessed = [*guessed, *late]
        table = _table(path, known | dict.fromkeys(guessed, pa.string()))
    # Arrow makes a column for each name it was told of, whether the file has it or not.
    hollow = {name for name in known if table[name].null_count == table.num_rows}
    absent = hollow - _names(path) if hollow else hollow
    for name in guessed:
        place = table.column_names.index(name)
        table = table.set_column(place, name, instants(name, table[name], spec.time_format, spec.zone))
    # What Arrow was told of comes first: back into the order of the first object.
    order = {name: place for place, name in enumerate(_first(path))}
    names = [name for name in table.column_names if name not in absent]
    return table.select(sorted(names, key=lambda name: order.get(name, len(order))))


def _first(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig") as lines:
        return next((list(json.loads(line)) for _, line in _filled(lines)), [])


def _guessed(path: Path, known: Mapping[str, pa.DataType]) -> list[str]:
    """Columns that Arrow would take for instants by the first lines: a second reading of the whole file costs twice."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    lines = head[: head.rfind(b"\n") + 1]
    try:
        schema = pajson.read_json(pa.BufferReader(lines), pajson.ReadOptions(block_size=_HEAD + 1)).schema
    except pa.ArrowInvalid:  # said with its line when the whole file is read
        return []
    return [field.name for field in schema if pa.types.is_timestamp(field.type) and field.name not in known]


def _table(path: Path, known: Mapping[str, pa.DataType]) -> pa.Table:
    options = pajson.ParseOptions(explicit_schema=pa.schema(known) if known else None, newlines_in_values=False)
    try:
        # One thread and one block: only then does an error name its line.
        block = max(1 << 20, path.stat().st_size + 1)
        return pajson.read_json(path, pajson.ReadOptions(use_threads=False, block_size=block), options)
    except pa.ArrowInvalid as error:
        raise FileRefused(_explain(path, str(error))) from error


def _texts(path: Path, name: str) -> pa.ChunkedArray:
    """A column as it is written, number by number."""
    with path.open(encoding="utf-8-sig") as lines:
        values = [json.loads(line, parse_float=str).get(name) for _, line in _filled(lines)]
    return pa.chunked_array([pa.array([None if value is None else str(value) for value in values], pa.string())])


def _names(path: Path) -> set[str]:
    with path.open(encoding="utf-8-sig") as lines:
        return {name for line in lines if line.strip() for name in json.loads(line)}


def _finished(
    name: str, column: pa.ChunkedArray, wanted: str | None, spec: JsonLinesMedium, remarks: Remarks
) -> pa.ChunkedArray:
    if is_text(column) and spec.nulls:
        filled = without_nulls(column, spec.nulls)
        for counted in pc.value_counts(column.filter(pc.is_null(filled))).to_pylist():
            if counted["values"]:
                remarks.nulls[name][counted["values"]] += counted["counts"]
        column = filled
    if not is_text(column) or wanted is None:
        return column
    if wanted == "timestamp":
        return instants(name, column, spec.time_format, spec.zone)
    return numbers(name, column, wanted, ".", None) if wanted.startswith(_TEXT_FIRST) else column


def _explain(path: Path, message: str) -> Refusal:
    """Arrow's message as a refusal that names the line (blank lines are no rows, so its row is counted out)."""
    text = short(ValueError(message))
    row = _ROW.search(text)
    line = f"line {_line_of(path, int(row[1])):,}: " if row else ""
    changed = _CHANGED.search(text)
    if changed:
        name, before, now = changed[1], changed[2], changed[3]
        remedy = "write one type in all lines, or leave the column out of the file"
        return Refusal("wrong-type", f"{name}: {line}is a {now}, and a {before} before; {remedy}", name)
    if "specified twice" in text or "Duplicate" in text:
        return Refusal("duplicate-columns", f"{line}an object has a name twice: {text}")
    text = text.removeprefix("JSON parse error: ")
    if "from object to array" in text:
        remedy = "write one object per line, without brackets and commas between them (`jq -c '.[]'` does it)"
        return Refusal("not-jsonlines", f"{line}is a JSON array; {remedy}")
    return Refusal("not-jsonlines", f"{line}{text}; each line is one JSON object, and the last one may be cut off")


def _line_of(path: Path, row: int) -> int:
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, _ in _filled(lines):
            if row == 0:
                return number
            row -= 1
    return 0


def _filled(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())
