"""CSV from outside (RFC 4180 quotes, a header line), with types that hold for every row."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from capstan_contracts.kinds.media import CsvMedium
from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.domain.file_refused import FileRefused, check_header, named, too_large
from capstan_ingestion.media.csv_remarks import remark, remarkable
from capstan_ingestion.media.foreign_bytes import check_begin
from capstan_ingestion.media.port import Reading
from capstan_ingestion.media.text import decoded
from capstan_ingestion.media.types import plain_type
from capstan_ingestion.media.values import (
    NUMBERS,
    bad_value,
    check_digits,
    grouped_numbers,
    instants,
    is_text,
    numbers,
    too_big,
)

NULLS: Final = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None")
"""Unquoted fields that stand for null, unless the dataset names others."""

_HEADER_BYTES: Final = 1 << 20
_DELIMITERS: Final = (",", ";", "\t", "|")
_TRUTH: Final = ("true", "false")
_WIDTH: Final = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+): ?(.*)", re.DOTALL)
_BAD_VALUE: Final = re.compile(r"Row #(\d+): CSV conversion error to ([^:]+): invalid value '(.*)'", re.DOTALL)


class Csv:
    """The medium `csv`."""

    kind: ClassVar[str] = "csv"

    def read(self, path: Path, how: Reading) -> pa.Table:
        """The whole file, but for ignored columns; known types are kept, others are what every row is."""
        spec = how.spec if isinstance(how.spec, CsvMedium) else CsvMedium(zone=how.spec.zone)
        check_begin(path, "CSV")
        size = path.stat().st_size
        if size > how.limits.max_bytes:
            raise too_large(size, how.limits)
        quotes = sum(text.count('"') for text in decoded(path, spec.encoding, self.kind))
        header, lines = _header(path, spec)
        _check_delimiter(header, spec)
        names = named(header)
        check_header(names, how.limits, how.ignored)
        kept = [name for name in names if name not in how.ignored]
        table = _read(path, _Header(names, lines), kept, spec, how)
        if table.num_rows == 0 and not how.may_be_empty:
            raise FileRefused(Refusal("no-rows", "the file has a header but no rows"))
        if quotes % 2:
            _check_last_row(table)
        _check_texts(table, path, _Header(names, lines), spec, how)
        return pa.table([_finished(name, table[name], how.types.get(name), spec) for name in kept], names=kept)


@dataclass(frozen=True)
class _Header:
    """The names of all columns, and how many lines of the file they take."""

    names: list[str]
    lines: int


class _BadValue(FileRefused):
    """A value of a column that is not of the column's type."""

    def __init__(self, refusal: Refusal, column: str, value: str) -> None:
        super().__init__(refusal)
        self.column, self.value = column, value


def _read(path: Path, header: _Header, kept: list[str], spec: CsvMedium, how: Reading) -> pa.Table:
    """As `_parse`; columns of numbers that hold true and false in this file come as truth values.

    A column that is neither is refused for the value that is no number, the first thing that was wrong.
    """
    types = dict(how.types)
    as_number: dict[str, _BadValue] = {}
    while True:
        try:
            return _parse(path, header, kept, spec, replace(how, types=types))
        except _BadValue as bad:
            if bad.column in as_number:
                raise as_number[bad.column] from bad
            if bad.value.lower() not in _TRUTH or not types.get(bad.column, "").startswith(NUMBERS):
                raise
            as_number[bad.column], types[bad.column] = bad, "bool"


def _parse(path: Path, header: _Header, kept: list[str], spec: CsvMedium, how: Reading) -> pa.Table:
    convert = pacsv.ConvertOptions(
        column_types=_types(kept, how.types, spec),
        null_values=list(NULLS) if spec.nulls is None else [*spec.nulls, ""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        include_columns=kept,
        decimal_point=spec.decimal,
        timestamp_parsers=[spec.time_format, pacsv.ISO8601] if spec.time_format else [],
    )
    parse = pacsv.ParseOptions(delimiter=spec.delimiter, newlines_in_values=True)
    try:
        # One thread: only then does an error name its row.
        reading = pacsv.ReadOptions(
            use_threads=False,
            block_size=16 << 20,
            encoding=spec.encoding,
            column_names=header.names,
            skip_rows=header.lines,
        )
        return pacsv.read_csv(path, reading, parse, convert)
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            return pa.table({name: pa.array([], pa.string()) for name in kept})
        raise _explain(str(error), header, how.types) from error


def _check_texts(table: pa.Table, path: Path, header: _Header, spec: CsvMedium, how: Reading) -> None:
    """Read columns whose values do not tell everything again as the texts that they are, all of them at once.

    FileRefused for an integer that the column's floats would change; what else is remarkable goes to the remarks.
    """
    big = [name for name in table.column_names if name not in how.types and too_big(table[name])]
    names = list(dict.fromkeys([*big, *remarkable(table, how.types)]))
    if not names:
        return
    as_text = replace(how, types=dict.fromkeys(names, "string"))
    texts = _parse(path, header, names, spec.model_copy(update={"nulls": []}), as_text)
    for name in big:
        # Without those that mean null.
        check_digits(name, pc.if_else(pc.is_valid(table[name]), texts[name], pa.scalar(None, pa.string())))
    remark(table, how.types, texts, how.remarks)


def _types(kept: list[str], types: Mapping[str, str], spec: CsvMedium) -> dict[str, pa.DataType]:
    """What Arrow is to read a column as. Numbers with groups it cannot read; of instants it wants all or no zones."""
    arrow_types: dict[str, pa.DataType] = {}
    for name in kept:
        wanted = types.get(name, "null")
        plain = plain_type(wanted)
        if wanted.startswith(NUMBERS) and spec.thousands is not None:
            arrow_types[name] = pa.string()
        elif wanted not in {"timestamp", "null"} and plain is not None:
            arrow_types[name] = plain
    return arrow_types


def _finished(name: str, column: pa.ChunkedArray, wanted: str | None, spec: CsvMedium) -> pa.ChunkedArray:
    if not is_text(column) or wanted == "string":
        return column
    if wanted == "timestamp":
        return instants(name, column, spec.time_format, spec.zone)
    if wanted is not None and wanted.startswith(NUMBERS):
        return numbers(name, column, wanted, spec.decimal, spec.thousands)
    if wanted is None and spec.thousands is not None:
        return grouped_numbers(column, spec.decimal, spec.thousands)
    return column


def _header(path: Path, spec: CsvMedium) -> tuple[list[str], int]:
    """The first line with anything in it, as fields, and how many lines of the file end with it."""
    encoding = "utf-8-sig" if spec.encoding == "utf-8" else spec.encoding
    with path.open(encoding=encoding, newline="") as text:
        reader = csv.reader(text.read(_HEADER_BYTES).splitlines(keepends=True), delimiter=spec.delimiter)
    try:
        names = next((fields for fields in reader if fields), [])
    except csv.Error as error:
        raise FileRefused(Refusal("not-csv", f"the header line cannot be read: {error}")) from error
    if not names:
        raise FileRefused(Refusal("no-header", "the file has no line with the names of its columns"))
    return names, reader.line_num


def _check_delimiter(names: list[str], spec: CsvMedium) -> None:
    if len(names) != 1:
        return
    for delimiter in _DELIMITERS:
        if delimiter in names[0] and delimiter != spec.delimiter:
            shown = "a tab" if delimiter == "\t" else repr(delimiter)
            text = "\\t" if delimiter == "\t" else delimiter
            sentence = (
                f"the header is one column named {names[0][:80]!r}: fields are parted by {shown}, not by "
                f'{spec.delimiter!r}; set `media: {{kind: csv, delimiter: "{text}"}}` on the dataset'
            )
            raise FileRefused(Refusal("wrong-delimiter", sentence))


def _check_last_row(table: pa.Table) -> None:
    """An odd number of quotes: one that is never closed takes the rest of the file into one field, without an error."""
    for name in table.column_names:
        last = table[name][-1].as_py() if table.num_rows else None
        if isinstance(last, str) and "\n" in last:
            sentence = f"{name}: row {table.num_rows:,} opens a quote that nothing closes, to the end of the file; "
            raise FileRefused(Refusal("open-quote", f"{sentence}was it cut off, or is a quote sign not doubled?", name))


def _explain(message: str, header: _Header, types: Mapping[str, str]) -> FileRefused:
    """Arrow's message as a refusal; `In CSV column #3: Row #17: CSV conversion error to int64: invalid value 'x'`."""
    text = message.strip()[:600]
    wide = _WIDTH.search(text)
    if wide is not None:
        row = int(wide[1]) - header.lines
        sentence = f"row {row:,} has {wide[3]} fields, and the header has {wide[2]}: {wide[4].strip()[:200]!r}"
        sentence += "; is a field with a delimiter in it not quoted, or was the file cut off?"
        return FileRefused(Refusal("row-width", sentence))
    names, column = header.names, None
    if text.startswith("In CSV column #"):
        number, _, text = text.removeprefix("In CSV column #").partition(": ")
        column = names[int(number)] if number.isdigit() and int(number) < len(names) else None
    bad = _BAD_VALUE.search(text)
    if column is None or bad is None:
        said = f"{column}: {text}" if column else text
        return FileRefused(Refusal("wrong-type" if column else "not-csv", said, column))
    refusal = bad_value(column, int(bad[1]) - header.lines - 1, bad[3], types.get(column, bad[2]))
    return _BadValue(refusal, column, bad[3])
