"""Names and types of columns as a loop writes them; each mistake is one sentence that says how to mend it."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from capstan_contracts.kinds.family import nearest

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_DECIMAL: Final = re.compile(r"decimal\((\d{1,2}),\s*(\d{1,2})\)")
PLAIN_TYPES: Final = ("int64", "float64", "string", "bool", "timestamp", "date", "time", "binary")
"""Types that need no further figure; timestamps are UTC with microseconds, times of day have microseconds."""
MAX_DIGITS: Final = 38
"""Digits of a decimal: what Parquet's and DuckDB's 128-bit decimals hold."""


def _column(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(
            f"{name!r} is no name for a column of a loop: 1 to 63 of A-Z a-z 0-9 _, and no digit first. "
            f"Keep the file as it is and rename the column in the dataset: `rename: {{{name!r}: {plain_name(name)}}}`"
        )
    return name


def plain_name(name: str) -> str:
    """A name that a loop can use, made of one that it cannot: `Delay (min)` becomes `delay_min`."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()[:60]
    return plain if _NAME.fullmatch(plain) else f"column_{plain}".rstrip("_")


def _column_type(text: str) -> str:
    decimal = _DECIMAL.fullmatch(text)
    if decimal is not None:
        digits, places = int(decimal[1]), int(decimal[2])
        if not 1 <= digits <= MAX_DIGITS or places > digits:
            raise ValueError(f"{text!r}: decimal(digits, places) has 1 to {MAX_DIGITS} digits and no more places")
        return f"decimal({digits},{places})"
    if text not in PLAIN_TYPES:
        close = nearest(text, PLAIN_TYPES)
        meant = f"did you mean {close!r}? There are" if close else "there are"
        raise ValueError(f"{text!r} is no type of a column; {meant}: {', '.join(PLAIN_TYPES)}, decimal(18,2)")
    return text


Column = Annotated[str, AfterValidator(_column)]
"""A column that a loop names: an ASCII identifier, so that SQL, recipes and requests all write it alike."""

ColumnType = Annotated[str, AfterValidator(_column_type)]
"""The type that a dataset declares for a column: one of `PLAIN_TYPES`, or `decimal(digits,places)`."""
