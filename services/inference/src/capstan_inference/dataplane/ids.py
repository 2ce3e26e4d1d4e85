"""Prediction ids: a range of UUIDv7 (RFC 9562, section 5.7) per request, random beyond its millisecond."""

from __future__ import annotations

import os
import time
from typing import Final

from capstan_formats.id_range import IdRange

_BYTES: Final = 10
_PAGE: Final = 512 * _BYTES
_VERSION_AND_VARIANT: Final = 0x7 << 76 | 0x2 << 62
#: All bits but time, version, variant, and the one that leaves room for the rows to count on.
_RANDOM: Final = 0xFFF << 64 | ((1 << 62) - 1) & ~(1 << 31)


class IdSource:
    """Random bits come from the system in pages, because a call per request would cost more than its ids.

    For one thread: two must never take the same bits.
    """

    def __init__(self) -> None:
        self._page = b""
        self._at = 0

    def new(self, millis: int, count: int = 1) -> IdRange:
        """Ids whose first 48 bits are the given Unix milliseconds; 73 random bits keep processes apart."""
        at = self._at
        if at + _BYTES > len(self._page):
            self._page, at = os.urandom(_PAGE), 0
        self._at = at + _BYTES
        random = int.from_bytes(self._page[at : at + _BYTES], "big")
        return IdRange(millis << 80 | _VERSION_AND_VARIANT | random & _RANDOM, count)


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000
