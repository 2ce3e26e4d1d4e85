"""The bytes of a log segment: header, frames, footer, and the one reader that tells a torn tail from damage.

file    = "CAPSEG" u16 version, then frames, then (once closed) one footer frame; all little-endian
frame   = u32 length, u32 crc32 of the payload, u32 crc32 of the eight bytes before, payload
footer  = a frame with the top bit of its length set; JSON {count, first_event_time, last_event_time, sha256}
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn
from zlib import crc32

from capstan_formats.strict_json import JsonRuleError, need, read_object, write_json

MAGIC: Final = b"CAPSEG"
VERSION: Final = 2
HEADER: Final = MAGIC + struct.pack("<H", VERSION)
MAX_PAYLOAD: Final = 64 * 1024 * 1024
FOOTER_BIT: Final = 0x8000_0000
_HEAD: Final = struct.Struct("<II")
_CHECK: Final = struct.Struct("<I")
_HEAD_SIZE: Final = _HEAD.size + _CHECK.size


class SegmentError(ValueError):
    """A segment is damaged or misused; `offset` is the byte where, if there is one."""

    def __init__(self, path: Path, detail: str, offset: int | None = None) -> None:
        super().__init__(f"{path.name}{'' if offset is None else f', byte {offset}'}: {detail}")
        self.path = path
        self.offset = offset


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A closed segment: records, event-time range in epoch microseconds, sha256 of all before the footer, file size."""

    path: Path
    count: int
    first_event_time: int | None
    last_event_time: int | None
    sha256: str
    size: int


class Tally:
    """What the footer will say of the frames so far."""

    def __init__(self) -> None:
        self.count = 0
        self.first: int | None = None
        self.last: int | None = None
        self._digest = hashlib.sha256(HEADER)

    def add(self, frame: bytes, times: tuple[int, int] | None) -> None:
        """Counts one frame and the range of its event times."""
        self.count += 1
        self._digest.update(frame)
        if times is not None:
            self.first = times[0] if self.first is None else min(self.first, times[0])
            self.last = times[1] if self.last is None else max(self.last, times[1])

    def footer(self) -> bytes:
        """The footer's JSON."""
        return write_json(
            {
                "count": self.count,
                "first_event_time": self.first,
                "last_event_time": self.last,
                "sha256": self._digest.hexdigest(),
            }
        )

    def info(self, path: Path, size: int) -> SegmentInfo:
        """The same for callers."""
        return SegmentInfo(path, self.count, self.first, self.last, self._digest.hexdigest(), size)


def frame_bytes(payload: bytes, flag: int = 0) -> bytes:
    """One frame; `flag` is FOOTER_BIT for the footer."""
    head = _HEAD.pack(len(payload) | flag, crc32(payload))
    return head + _CHECK.pack(crc32(head)) + payload


class FrameReader:
    """Iterates (offset, frame, payload) of the records; then `end` is where they end, `footer` what closes them.

    A frame cut short by the end of the file, zeros to the end, and a last frame with a wrong checksum are a torn tail:
    iteration just ends. Anything else that is wrong is a SegmentError with its offset; with `passed_over` a damaged
    payload is noted there, and reading goes on behind it.
    """

    def __init__(self, path: Path, file: BinaryIO, passed_over: list[SegmentError] | None = None) -> None:
        self._path = path
        self._file = file
        self._passed_over = passed_over
        self.end = 0
        self.footer: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[tuple[int, bytes, bytes]]:
        start = self._file.read(len(HEADER))
        if start != HEADER:
            if HEADER.startswith(start):
                return
            self._fail(0, _foreign(start))
        self.end = len(HEADER)
        while (frame := self._next()) is not None:
            head, payload, is_footer = frame
            if not payload:
                continue
            if is_footer:
                self._close(payload)
                return
            offset, self.end = self.end, self.end + len(head) + len(payload)
            yield offset, head + payload, payload

    def _next(self) -> tuple[bytes, bytes, bool] | None:
        head = self._file.read(_HEAD_SIZE)
        if len(head) < _HEAD_SIZE:
            return None
        length, checksum = _HEAD.unpack_from(head)
        if _CHECK.unpack_from(head, _HEAD.size)[0] != crc32(head[: _HEAD.size]):
            if not any(head) and self._only_zeros_left():
                return None
            self._fail(self.end, "the head of a frame is damaged")
        size = length & ~FOOTER_BIT
        if not 0 < size <= MAX_PAYLOAD:
            self._fail(self.end, f"a frame of {size} bytes")
        payload = self._file.read(size)
        if len(payload) < size:
            return None
        if crc32(payload) != checksum:
            if not self._file.read(1):
                return None
            if self._passed_over is None:
                self._fail(self.end, "the payload of a frame is damaged")
            self._file.seek(-1, os.SEEK_CUR)
            self._passed_over.append(SegmentError(self._path, "the payload of a frame is damaged", self.end))
            self.end += len(head) + size
            return head, b"", False
        return head, payload, bool(length & FOOTER_BIT)

    def _close(self, payload: bytes) -> None:
        try:
            footer = read_object(payload)
            need(footer, "count", int)
            need(footer, "sha256", str)
        except JsonRuleError as error:
            self._fail(self.end, f"the footer cannot be read: {error}")
        if self._file.read(1):
            self._fail(self._file.tell() - 1, "bytes after the footer")
        self.footer = footer

    def _only_zeros_left(self) -> bool:
        while chunk := self._file.read(1 << 16):
            if any(chunk):
                return False
        return True

    def _fail(self, offset: int, detail: str) -> NoReturn:
        raise SegmentError(self._path, detail, offset)


def _foreign(start: bytes) -> str:
    if not start.startswith(MAGIC):
        return "not a log segment"
    version = struct.unpack("<H", start[len(MAGIC) :])[0]
    return (
        f"a log segment of version {version}, and this release reads version {VERSION} only: "
        "read it with the release that wrote it"
    )
