"""Timestamps of columns: epoch microseconds in UTC from integers, ISO-8601 strings, datetimes and datetime64."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from capstan_formats.epoch import us_of

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
#: The years 2..9998: one year of room at both ends keeps every zone offset inside what datetime can hold.
MIN_US = us_of(datetime(2, 1, 1, tzinfo=UTC))
MAX_US = us_of(datetime(9999, 1, 1, tzinfo=UTC))
NULL_US = np.iinfo(np.int64).min

type_names = {bool: "bool", str: "string", float: "float", int: "integer"}


class BadValueError(ValueError):
    """One value breaks a rule; `row` is its position."""

    def __init__(self, rule: str, row: int = 0) -> None:
        super().__init__(rule)
        self.rule = rule
        self.row = row


def instant_us(value: Any) -> int | None:
    """One timestamp as epoch microseconds; None stays None. BadValueError for any other type, range or no offset."""
    if value is None:
        return None
    kind = type(value)
    if kind is int:
        us: int = value
    elif kind is str:
        us = _iso_us(value)
    elif isinstance(value, datetime):
        us = _datetime_us(value)
    elif isinstance(value, np.datetime64):
        if np.isnat(value):
            return None
        us = int(value.astype("datetime64[us]").astype(np.int64))
    elif isinstance(value, np.integer):
        us = int(value)
    else:
        raise BadValueError(f"a timestamp is epoch microseconds or an ISO-8601 string, not {type_name(value)}")
    if not MIN_US <= us < MAX_US:
        raise BadValueError("timestamp out of range (years 2 to 9998; the unit is microseconds)")
    return us


def instants_us(values: Sequence[Any] | npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """A column as int64 epoch microseconds, with NULL_US where null."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        result = values.astype("datetime64[us]").astype(np.int64)
    elif isinstance(values, np.ndarray) and values.dtype.kind == "i":
        result = values.astype(np.int64)
    else:
        return _instants_one_by_one(values.tolist() if isinstance(values, np.ndarray) else values)
    wrong = (result < MIN_US) | (result >= MAX_US)
    if values.dtype.kind == "M":
        wrong &= result != NULL_US
    if wrong.any():
        row = int(wrong.argmax())
        raise BadValueError("timestamp out of range (years 2 to 9998; the unit is microseconds)", row)
    return result


def type_name(value: Any) -> str:
    """The type of a value as a caller would call it."""
    return type_names.get(type(value), type(value).__name__)


def _instants_one_by_one(values: Sequence[Any]) -> npt.NDArray[np.int64]:
    result = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        try:
            us = instant_us(value)
        except BadValueError as error:
            raise BadValueError(error.rule, row) from None
        result[row] = NULL_US if us is None else us
    return result


def _iso_us(text: str) -> int:
    try:
        return _datetime_us(datetime.fromisoformat(text))
    except BadValueError:
        raise
    except ValueError:
        raise BadValueError("not an ISO-8601 timestamp") from None


def _datetime_us(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise BadValueError("timestamp without an offset: append Z or +hh:mm")
    return us_of(moment)
