"""Prediction ids: UUIDv7 (RFC 9562, section 5.7) made in a microsecond, on the event loop only."""

from __future__ import annotations

import os
import time

_POOL = 10 * 512
_VARIANT = ("8", "9", "a", "b")


class IdSource:
    """Random bits come from the system in pages, because one call per id would cost more than the id."""

    def __init__(self) -> None:
        self._page = ""
        self._at = 0

    def new(self, millis: int) -> str:
        """An id whose first 48 bits are the given Unix milliseconds."""
        at = self._at
        if at + 20 > len(self._page):
            self._page, at = os.urandom(_POOL).hex(), 0
        self._at = at + 20
        text, time_part = self._page[at : at + 20], f"{millis:012x}"
        variant = _VARIANT[int(text[3], 16) & 3]
        return f"{time_part[:8]}-{time_part[8:]}-7{text[:3]}-{variant}{text[4:7]}-{text[7:19]}"


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000
