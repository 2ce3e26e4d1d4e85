"""Texts of a file turned into numbers and instants, with the row of the first that is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from capstan_ingestion.domain.advice import advice_for
from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.domain.file_refused import FileRefused
from capstan_ingestion.media.types import INSTANT, plain_type

NAIVE: Final = pa.timestamp("us")
NUMBERS: Final = ("int64", "float64", "decimal(")
"""How the names of number types begin."""


def is_text(column: pa.ChunkedArray) -> bool:
    """Whether a column holds texts."""
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def utc(column: pa.ChunkedArray, zone: str) -> pa.ChunkedArray:
    """Instants in UTC of timestamps; those without a zone are wall times in `zone`, a repeated hour the earlier one.

    pyarrow.ArrowInvalid for a wall time that the zone does not have (the hour that is skipped in spring).
    """
    if column.type.tz is not None:
        return column.cast(pa.timestamp(column.type.unit, "UTC"))
    return pc.assume_timezone(column, zone, ambiguous="earliest", nonexistent="raise").cast(
        pa.timestamp(column.type.unit, "UTC")
    )


def instants(name: str, texts: pa.ChunkedArray, time_format: str | None, zone: str) -> pa.ChunkedArray:
    """Texts as instants: by `time_format` where one is set, else as ISO 8601; FileRefused with the row of a bad one."""
    made = pa.nulls(len(texts), INSTANT)
    rest = texts
    if time_format is not None:
        parsed = pc.strptime(texts, format=time_format, unit="us", error_is_null=True)
        made = utc(parsed, zone)
        rest = pc.if_else(pc.is_null(parsed), texts, pa.scalar(None, texts.type))
    if rest.null_count == len(rest):
        return made
    return pc.coalesce(made, _iso(name, rest, zone))


def _iso(name: str, texts: pa.ChunkedArray, zone: str) -> pa.ChunkedArray:
    try:
        return texts.cast(INSTANT)
    except pa.ArrowInvalid:  # some without a zone
        pass
    try:
        return utc(texts.cast(NAIVE), zone)
    except pa.ArrowInvalid:
        both = first_bad(texts, lambda part: _either(part))
        row = both if both is not None else first_bad(texts, lambda part: part.cast(INSTANT)) or 0
        raise FileRefused(bad_value(name, row, texts[row].as_py(), "timestamp")) from None


def _either(part: pa.ChunkedArray) -> None:
    try:
        part.cast(INSTANT)
    except pa.ArrowInvalid:
        part.cast(NAIVE)


def numbers(name: str, texts: pa.ChunkedArray, wanted: str, decimal: str, thousands: str | None) -> pa.ChunkedArray:
    """Texts as numbers of the type `wanted`; FileRefused with the row of the first that is none."""
    plain = _plain_number(texts, decimal, thousands)
    target = plain_type(wanted)

    def cast(part: pa.ChunkedArray) -> pa.ChunkedArray:
        return part.cast(target)

    try:
        return cast(plain)
    except pa.ArrowInvalid:
        row = first_bad(plain, cast) or 0
        raise FileRefused(bad_value(name, row, texts[row].as_py(), wanted)) from None


def grouped_numbers(texts: pa.ChunkedArray, decimal: str, thousands: str) -> pa.ChunkedArray:
    """The column as int64 or float64 when every text in it is a number with groups of thousands, else as it is."""
    group, point = re.escape(thousands), re.escape(decimal)
    pattern = rf"^\s*[+-]?(\d{{1,3}}({group}\d{{3}})+|\d+)({point}\d*)?\s*$"
    fits = pc.all(pc.match_substring_regex(texts, pattern), skip_nulls=True).as_py()
    if not fits or texts.null_count == len(texts):
        return texts
    plain = _plain_number(texts, decimal, thousands)
    for wanted in (pa.int64(), pa.float64()):
        try:
            return plain.cast(wanted)
        except pa.ArrowInvalid:
            continue
    return texts


def _plain_number(texts: pa.ChunkedArray, decimal: str, thousands: str | None) -> pa.ChunkedArray:
    plain = pc.utf8_trim_whitespace(texts)
    if thousands is not None:
        plain = pc.replace_substring(plain, thousands, "")
    return plain if decimal == "." else pc.replace_substring(plain, decimal, ".")


def without_nulls(texts: pa.ChunkedArray, nulls: Collection[str]) -> pa.ChunkedArray:
    """The texts with null in the place of every one that means it."""
    means = pc.is_in(texts, value_set=pa.array(list(nulls), texts.type))
    return pc.if_else(pc.fill_null(means, False), pa.scalar(None, texts.type), texts)


def too_big(column: pa.ChunkedArray) -> bool:
    """Whether a column of floats may have integers in it that no float holds: those from 2^53 on."""
    if not pa.types.is_floating(column.type):
        return False
    largest = pc.max(pc.abs(column.filter(pc.fill_null(pc.is_finite(column), False)))).as_py()
    return bool(largest is not None and largest >= 2.0**53)


def check_digits(name: str, texts: pa.ChunkedArray) -> None:
    """FileRefused when a text is an integer that the column's floats would change, or one beyond 64 bits."""
    long = pc.fill_null(pc.match_substring_regex(texts, r"^\s*[+-]?\d{16,}\s*$"), False)
    for row in pc.indices_nonzero(long).to_pylist():
        number = int(text := texts[row].as_py())
        if abs(number) < 2**63 and float(number) == number:
            continue
        beyond = "beyond 64 bits" if abs(number) >= 2**63 else "and other values of the column are no integers"
        sentence = (
            f"{name}: row {row + 1:,} has {text.strip()[:60]!r}, an integer {beyond}: a float keeps 15 digits; "
            "declare the column as string, decimal(38,0) or float64 under `columns`"
        )
        raise FileRefused(Refusal("too-big", sentence, name))


def first_bad(values: pa.ChunkedArray, cast: Callable[[pa.ChunkedArray], object]) -> int | None:
    """The first row that `cast` does not take, by halving, since rows are cast independently; None if it takes all."""

    def takes(until: int) -> bool:
        try:
            cast(values.slice(0, until))
        except pa.ArrowInvalid:
            return False
        return True

    low, high = 0, len(values)
    if takes(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if takes(middle) else (low, middle)
    return low


def bad_value(name: str, row: int, value: object, wanted: str) -> Refusal:
    """The refusal of a value that is not read as its column's type; `row` counts from 0."""
    text = f"{name}: row {row + 1:,} has {str(value)[:60]!r}, which is no {wanted}; {advice_for(str(value), wanted)}"
    return Refusal("wrong-type", text, name)
