"""Lengths of time as people write them in a loop."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_US = 999_999_999 * 86_400 * 1_000_000


def _parse_duration(value: Any) -> Any:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value)
        if match is None:
            raise ValueError(f"not a duration: {value!r} (write 90s, 15m, 3h or 30d)")
        us = Decimal(match[1]) * _UNITS[match[2]] * 1_000_000
        if us != us.to_integral_value():
            raise ValueError(f"not a duration: {value!r:.40} (microseconds are the smallest part)")
        if us > _LONGEST_US:
            raise ValueError(f"not a duration: {value!r:.40} (at most 999999999d)")
        return timedelta(microseconds=int(us))
    return value


def _print_duration(value: timedelta) -> str:
    """Every digit: what is read again is the same."""
    us = value // timedelta(microseconds=1)
    for unit in ("d", "h", "m"):
        if us and us % (_UNITS[unit] * 1_000_000) == 0:
            return f"{us // (_UNITS[unit] * 1_000_000)}{unit}"
    seconds, rest = divmod(us, 1_000_000)
    return f"{seconds}.{rest:06}".rstrip("0").rstrip(".") + "s" if rest else f"{seconds}s"


Duration = Annotated[timedelta, BeforeValidator(_parse_duration), PlainSerializer(_print_duration, return_type=str)]
"""A length of event time: `90s`, `15m`, `3h`, `30d`."""
