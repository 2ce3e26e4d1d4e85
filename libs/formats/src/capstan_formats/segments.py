"""Append-only segments of the prediction log: records that survive kill -9, sealed by a footer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from capstan_formats.id_range import id_number, id_prefix
from capstan_formats.record_columns import RecordError
from capstan_formats.records import PredictionRecord, PredictionRow, RecordHead, decode_head, decode_record
from capstan_formats.segment_frames import (
    FOOTER_BIT,
    HEADER,
    MAX_PAYLOAD,
    FrameReader,
    SegmentError,
    SegmentInfo,
    Tally,
    frame_bytes,
)

__all__ = [
    "PredictionRecord",
    "PredictionRow",
    "SegmentError",
    "SegmentInfo",
    "SegmentWriter",
    "find_prediction",
    "read_heads",
    "read_segment",
    "recover_segment",
]

T = TypeVar("T")


class SegmentWriter:
    """Writes one segment; not for several threads at once. An appended record is with the operating system.

    So kill -9 loses nothing that was appended; `sync` after a group of appends makes it outlive the machine as well.
    """

    def __init__(self, path: Path) -> None:
        """Creates the file (mode 0600). FileExistsError where it is there already."""
        self.path = path
        self._tally = Tally()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._size = 0
        self._open = True
        self._write(HEADER)
        _sync_folder(path.parent)

    @property
    def count(self) -> int:
        """Records so far."""
        return self._tally.count

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._size

    def append(self, payload: bytes, *, times: tuple[int, int] | None = None) -> None:
        """Adds one record. `times` (first and last event time) saves reading them out of the payload.

        OSError where the disk refuses: the segment is then as before. SegmentError for a payload that is no record.
        """
        self.append_all([(payload, times)])

    def append_all(self, records: Sequence[tuple[bytes, tuple[int, int] | None]]) -> None:
        """Adds a group of records in one write: all of them, or none where it raises as `append` does."""
        self._need_open()
        frames = []
        for payload, times in records:
            if not 0 < len(payload) <= MAX_PAYLOAD:
                raise SegmentError(self.path, f"a payload has 1 to {MAX_PAYLOAD} bytes, not {len(payload)}")
            frames.append((frame_bytes(payload), times or _times(self.path, payload, self._size)))
        self._write(b"".join(frame for frame, _ in frames))
        for frame, span in frames:
            self._tally.add(frame, span)

    def sync(self) -> None:
        """Waits until all appended records are on the disk."""
        self._need_open()
        os.fsync(self._descriptor)

    def close(self) -> SegmentInfo:
        """Seals the segment: footer, fsync. SegmentError where it is closed already."""
        self._need_open()
        self._write(frame_bytes(self._tally.footer(), FOOTER_BIT))
        self.sync()
        self.abandon()
        return self._tally.info(self.path, self._size)

    def abandon(self) -> None:
        """Lets go of the file as it is; without a footer `recover_segment` closes it later."""
        if self._open:
            self._open = False
            os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def _need_open(self) -> None:
        if not self._open:
            raise SegmentError(self.path, "the segment is closed")

    def _write(self, data: bytes) -> None:
        done = 0
        try:
            while done < len(data):
                done += os.write(self._descriptor, data[done:])
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)


def read_segment(path: Path) -> Iterator[PredictionRecord]:
    """Yields the records of a segment: closed, still being written, or torn by a crash (its tail is left out).

    SegmentError, with the offset, for damage anywhere else.
    """
    return _read(path, decode_record)


def read_heads(path: Path) -> Iterator[RecordHead]:
    """The ids and event times of each record, under the rules of `read_segment`; columns are passed over."""
    return _read(path, decode_head)


def find_prediction(path: Path, prediction_id: str) -> tuple[PredictionRecord, int] | None:
    """The record whose range of ids holds this one, and its row; None where none does. IdRangeError for no UUIDv7."""
    number = id_number(prediction_id)
    # Most segments do not hold it, and this tells without a look at their frames.
    prefix = id_prefix(number)
    if prefix not in path.read_bytes():
        return None
    for record in _read(path, lambda payload: decode_record(payload) if payload.startswith(prefix) else None):
        if record is not None and (row := record.head.ids.row_of(number)) is not None:
            return record, row
    return None


def _read(path: Path, decode: Callable[[bytes], T]) -> Iterator[T]:
    with path.open("rb") as file:
        reader, tally = FrameReader(path, file), Tally()
        for offset, frame, payload in reader:
            tally.add(frame, None)
            try:
                record = decode(payload)
            except RecordError as error:
                raise SegmentError(path, str(error), offset) from None
            yield record
        _check_footer(path, reader, tally)


def _times(path: Path, payload: bytes, offset: int) -> tuple[int, int]:
    """First and last event time of a record's rows."""
    try:
        times = decode_head(payload).event_times
    except RecordError as error:
        raise SegmentError(path, str(error), offset) from None
    return int(times.min()), int(times.max())


def recover_segment(path: Path) -> SegmentInfo:
    """Checks a segment and closes it, cutting off what a crash left half written. A closed one stays as it is.

    SegmentError for damage that is not a torn tail: the file is then left untouched.
    """
    tally = Tally()
    with path.open("r+b") as file:
        reader = FrameReader(path, file)
        for offset, frame, payload in reader:
            tally.add(frame, _times(path, payload, offset))
        _check_footer(path, reader, tally)
        if reader.footer is None:
            file.seek(reader.end)
            file.truncate()
            if not reader.end:
                file.write(HEADER)
            file.write(frame_bytes(tally.footer(), FOOTER_BIT))
            file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)
    return tally.info(path, path.stat().st_size)


def _check_footer(path: Path, reader: FrameReader, tally: Tally) -> None:
    if reader.footer is None:
        return
    info = tally.info(path, 0)
    if reader.footer["count"] != info.count or reader.footer["sha256"] != info.sha256:
        raise SegmentError(path, "the records are not those that the footer sealed", reader.end)


def _sync_folder(folder: Path) -> None:
    """Makes a new name in the folder outlive the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
