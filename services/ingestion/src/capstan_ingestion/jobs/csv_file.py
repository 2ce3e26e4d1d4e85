"""Read a CSV file from outside (RFC 4180, comma, UTF-8, a header line), with types that hold for every row."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.jobs.canonical import ARROW_TYPES
from capstan_ingestion.jobs.file_refused import FileRefused, Limits, check_header

NULLS = ("", "NA", "NaN", "nan", "null", "NULL")
"""Unquoted fields that stand for null."""

_HEADER_BYTES = 1 << 20
_DELIMITERS = (";", "\t", "|")


def read_csv(path: Path, limits: Limits, earlier: Mapping[str, str]) -> pa.Table:
    """The whole file; columns that the dataset has `earlier` are read as its types, others as what every row is."""
    size = path.stat().st_size
    if size == 0:
        raise FileRefused(Refusal("empty-file", "the file has no bytes"))
    if size > limits.max_bytes:
        sentence = f"the file has {size:,} bytes; at most {limits.max_bytes:,} are taken; send smaller parts"
        raise FileRefused(Refusal("too-large", sentence))
    _check_text(path)
    names = _header(path)
    _check_delimiter(names)
    check_header(names, limits)
    types = {name: ARROW_TYPES[earlier[name]] for name in names if name in earlier and earlier[name] != "timestamp"}
    convert = pacsv.ConvertOptions(
        column_types=types, null_values=list(NULLS), strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    try:
        # One thread: only then does an error name its row.
        reading = pacsv.ReadOptions(use_threads=False, block_size=16 << 20)
        table = pacsv.read_csv(path, reading, pacsv.ParseOptions(newlines_in_values=True), convert)
    except pa.ArrowInvalid as error:
        raise FileRefused(_explain(str(error), names)) from error
    if table.num_rows == 0:
        raise FileRefused(Refusal("no-rows", "the file has a header but no rows"))
    return table


def _check_text(path: Path) -> None:
    decoder, place = codecs.getincrementaldecoder("utf-8")(), 0
    with path.open("rb") as file:
        while True:
            block = file.read(1 << 20)
            if b"\0" in block:
                sentence = f"byte {place + block.index(0):,} is zero, so this is not UTF-8 text; save the file as UTF-8"
                raise FileRefused(Refusal("not-csv", sentence))
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                bad = error.object[error.start]
                sentence = f"near byte {place + error.start:,}: {bad:#04x} is not UTF-8; save the file as UTF-8"
                raise FileRefused(Refusal("encoding", sentence)) from error
            if not block:
                return
            place += len(block)


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as text:
        first = text.read(_HEADER_BYTES)
    try:
        return next(csv.reader(first.splitlines(keepends=True)), [])
    except csv.Error as error:
        raise FileRefused(Refusal("not-csv", f"the header line cannot be read: {error}")) from error


def _check_delimiter(names: list[str]) -> None:
    if len(names) != 1:
        return
    for delimiter in _DELIMITERS:
        if delimiter in names[0]:
            shown = "a tab" if delimiter == "\t" else repr(delimiter)
            sentence = f"the header is one column named {names[0][:80]!r}: fields are parted by {shown}; use a comma"
            raise FileRefused(Refusal("wrong-delimiter", sentence))


def _explain(message: str, names: list[str]) -> Refusal:
    """Arrow's message as a refusal; `In CSV column #3: Row #17: CSV conversion error to int64: invalid value 'x'`."""
    text = message.strip().splitlines()[0][:400]
    if "columns, got" in text:
        return Refusal("row-width", f"a row has another number of fields than the header: {text}")
    column = None
    if text.startswith("In CSV column #"):
        number, _, text = text.removeprefix("In CSV column #").partition(": ")
        column = names[int(number)] if number.isdigit() and int(number) < len(names) else None
    return Refusal("wrong-type" if column else "not-csv", f"{column}: {text}" if column else text, column)
