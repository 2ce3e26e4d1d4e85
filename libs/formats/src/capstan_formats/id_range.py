"""Prediction ids of one request: consecutive UUIDv7 (RFC 9562, section 5.7), so that one id says which row it is."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

_UUID7: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LOW: Final = (1 << 32) - 1
#: The first id leaves the top one of its low 32 bits clear, so that so many ids follow without a carry.
MOST_IDS: Final = 1 << 31
PREFIX_BYTES: Final = 12


class IdRangeError(ValueError):
    """Bytes or numbers that are no range of prediction ids."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """`count` ids from `first`, an UUIDv7 as a number. All share their first 96 bits: time, version, random bits.

    The row is no part of the id: the first one begins at a random number. IdRangeError where it is no such range.
    """

    first: int
    count: int

    def __post_init__(self) -> None:
        if self.first >> 128 or self.first >> 76 & 15 != 7 or self.first >> 62 & 3 != 2:
            raise IdRangeError("the first id is no UUIDv7")
        if not 1 <= self.count <= _LOW + 1 - (self.first & _LOW):
            raise IdRangeError(f"{self.count} ids do not fit behind the first one")

    @classmethod
    def from_bytes(cls, first: bytes, count: int) -> IdRange:
        """From the 16 bytes of the first id."""
        return cls(int.from_bytes(first, "big"), count)

    def to_bytes(self) -> bytes:
        """The 16 bytes of the first id."""
        return self.first.to_bytes(16, "big")

    @property
    def millis(self) -> int:
        """Unix milliseconds in the ids."""
        return self.first >> 80

    def texts(self) -> list[str]:
        """All ids, as answers spell them."""
        if self.count == 1:
            return [id_text(self.first)]
        text, low = f"{self.first:032x}", self.first & _LOW
        prefix = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:24]}"
        lows = struct.pack(f">{self.count}I", *range(low, low + self.count)).hex()
        return [prefix + lows[at : at + 8] for at in range(0, 8 * self.count, 8)]

    def text(self, row: int) -> str:
        """The id of one row."""
        return id_text(self.first + row)

    def row_of(self, identity: int) -> int | None:
        """Which row an id (as a number) names; None where it is none of these."""
        row = identity - self.first
        return row if 0 <= row < self.count else None

    def part(self, start: int, end: int) -> IdRange:
        """The ids of rows `start` to before `end`."""
        return IdRange(self.first + start, end - start)


def id_number(text: str) -> int:
    """The number of a UUIDv7 as answers spell it. IdRangeError for any other text."""
    if _UUID7.fullmatch(text) is None:
        raise IdRangeError(f"{text[:64]!r} is no UUIDv7")
    return int(text.replace("-", ""), 16)


def id_text(number: int) -> str:
    """The other way round."""
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def id_prefix(number: int) -> bytes:
    """The first 96 bits of an id: every record whose range may hold it contains these bytes."""
    return (number >> 32).to_bytes(PREFIX_BYTES, "big")
