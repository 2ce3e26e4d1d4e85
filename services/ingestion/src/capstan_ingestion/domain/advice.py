"""What to set so that a text is read as what it means: the sign of the decimals, a null marker, a time format."""

from __future__ import annotations

import re
from typing import Final

NULL_MARKERS: Final = {
    "-", "--", "---", ".", "?", "n/a", "#n/a", "#n/a n/a", "na", "nan", "none", "nil", "null", "missing", "unknown",
    "(null)", "\\n", "#value!", "#ref!", "#div/0!", "1.#qnan",
}  # fmt: skip
_GROUPED: Final = (
    (re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?"), 'thousands: ","'),
    (re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?"), 'decimal: ",", thousands: "."'),
    (re.compile(r"[+-]?\d{1,3}([ \u00a0\u202f]\d{3})+,\d+"), 'decimal: ",", thousands: " "'),
    (re.compile(r"[+-]?\d{1,3}([ \u00a0\u202f]\d{3})+(\.\d+)?"), 'thousands: " "'),
    (re.compile(r"[+-]?\d{1,3}(['’]\d{3})+(\.\d+)?"), 'thousands: "\'"'),
    (re.compile(r"[+-]?\d+,\d+"), 'decimal: ","'),
)
_DATES: Final = (
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "%d.%m.%Y"),
    (re.compile(r"\d{1,2}/\d{1,2}/\d{4}"), "%m/%d/%Y"),
    (re.compile(r"\d{1,2}-\d{1,2}-\d{4}"), "%d-%m-%Y"),
    (re.compile(r"\d{4}/\d{1,2}/\d{1,2}"), "%Y/%m/%d"),
    (re.compile(r"\d{8}"), "%Y%m%d"),
)
_CLOCKS: Final = ((re.compile(r"[ T]\d{1,2}:\d{2}:\d{2}"), "%H:%M:%S"), (re.compile(r"[ T]\d{1,2}:\d{2}"), "%H:%M"))


def is_number(text: str) -> bool:
    """Whether a text is a number as programs write it."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def advice_for(text: str, wanted: str) -> str:
    """What to set in the dataset for a text that is not read as `wanted` (a type's name)."""
    plain = text.strip()
    if plain.lower() in NULL_MARKERS:
        return f"if {plain!r} means null, set `nulls: [{plain!r}]` under `media` (of text files)"
    if wanted in {"timestamp", "date"}:
        form = time_format_of(plain)
        if form:
            return f"set `timeFormat: {form!r}` under `media` (of text files)"
        return "write instants as 2013-01-31T05:15:00Z, or set `timeFormat` under `media` (of text files)"
    if wanted == "int64" and is_number(plain):
        return "declare float64 or a decimal for the column under `columns`: the files that are there follow"
    setting = grouping_of(plain)
    if setting is not None:
        return f"set `{setting}` under `media` (of text files)"
    return "mend it, or declare the column as string under `columns`, or leave it out with `ignore`"


def grouping_of(text: str) -> str | None:
    """The settings by which a text is a number with groups of digits or a decimal comma; None where it is none."""
    return next((setting for pattern, setting in _GROUPED if pattern.fullmatch(text)), None)


def time_format_of(text: str) -> str | None:
    """The strptime format of a text that is a time and not ISO 8601; None where it is none."""
    for date, form in _DATES:
        day = date.match(text)
        if day is None:
            continue
        rest = text[day.end() :]
        if not rest:
            return form
        for clock, hours in _CLOCKS:
            if clock.fullmatch(rest):
                return f"{form}{rest[0]}{hours}"
    return None
