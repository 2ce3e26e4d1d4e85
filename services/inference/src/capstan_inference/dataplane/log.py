"""The prediction log: no answer leaves before its record is on the disk; one fsync serves all that wait for it.

Segments lie at <spool>/<project>/<deployment>/<id>.open while they grow and are renamed to <id>.seg when sealed.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from capstan_formats.segments import SegmentError, SegmentWriter, recover_segment
from capstan_inference.dataplane.config import Limits
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.ids import IdSource, now_ms
from capstan_inference.dataplane.request_errors import NOT_READY, RequestError

OPEN: Final = ".open"
SEALED: Final = ".seg"
DAMAGED: Final = ".damaged"
_TICK_S: Final = 0.5
_SPOOL_WAIT_S: Final = 30.0
log = logging.getLogger(__name__)

Records = Sequence[tuple[bytes, tuple[int, int]]]


@dataclass(slots=True)
class _Entry:
    key: tuple[str, str]
    records: Records
    rows: int
    waiter: asyncio.Future[Any]
    flush: bool = False
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Segment:
    writer: SegmentWriter
    opened: float
    rows: int = 0


def claim_spool(spool: Path) -> int:
    """Take the spool for this process and seal what a dead one left open; the descriptor holds the claim.

    RequestError where another process keeps it. A damaged segment is set aside under its own name and never deleted.
    """
    spool.mkdir(parents=True, exist_ok=True)
    claim = os.open(spool / ".claim", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + _SPOOL_WAIT_S
    while True:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(claim)
                raise RequestError(NOT_READY, "another model server holds the spool of the prediction log") from None
            time.sleep(0.02)
    for path in sorted(spool.glob(f"*/*/*{OPEN}")):
        try:
            info = recover_segment(path)
        except SegmentError as error:
            log.error("segment.damaged %s", error)
            path.rename(path.with_suffix(DAMAGED))
            continue
        if info.count:
            path.rename(path.with_suffix(SEALED))
        else:
            path.unlink()
    return claim


@dataclass
class PredictionLog:
    """Appended to on the event loop; a thread of its own writes, syncs, seals and tells those who wait."""

    spool: Path
    limits: Limits
    counters: Counters
    _coming: list[_Entry] = field(default_factory=list)
    _queue: list[_Entry] = field(default_factory=list)
    _segments: dict[tuple[str, str], _Segment] = field(default_factory=dict)
    _stopping: bool = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the writer."""
        self._loop = loop
        self._ids = IdSource()
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def append(self, project: str, deployment: str, records: Records, rows: int) -> asyncio.Future[Any]:
        """A future that is done when the records are on the disk; it fails when the disk refuses them."""
        return self._put(_Entry((project, deployment), records, rows, self._loop.create_future()))

    def flush(self, project: str, deployment: str) -> asyncio.Future[Any]:
        """Seal the open segment; {"file", "rows"} of it, or {} when there was none."""
        return self._put(_Entry((project, deployment), (), 0, self._loop.create_future(), flush=True))

    @property
    def open_records(self) -> int:
        """Records in segments that are not sealed; the writer goes on meanwhile, so it is told and never decided on."""
        return sum(segment.writer.count for segment in list(self._segments.values()))

    def close(self) -> None:
        """Write what waits, seal all segments, end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def _put(self, entry: _Entry) -> asyncio.Future[Any]:
        """All entries of one turn of the loop go to the writer together: fewer wake-ups, fewer syncs."""
        if not self._coming:
            self._loop.call_soon(self._hand_over)
        self._coming.append(entry)
        return entry.waiter

    def _hand_over(self) -> None:
        coming, self._coming = self._coming, []
        with self._wake:
            self._queue += coming
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                if not self._queue and not self._stopping:
                    self._wake.wait(_TICK_S)
                entries, self._queue = self._queue, []
                stopping = self._stopping
            if entries:
                self._write(entries)
                self._tell(entries)
            self._rotate()
            if stopping and not entries:
                break
        for key in list(self._segments):
            self._seal(key)

    def _tell(self, entries: list[_Entry]) -> None:
        try:
            self._loop.call_soon_threadsafe(_resolve, entries)
        except RuntimeError:  # the loop ended first: nobody waits any more
            log.warning("log.answers_dropped %d", len(entries))

    def _write(self, entries: list[_Entry]) -> None:
        """Groups of one segment are written and synced together; a flush ends its segment's group."""
        groups: dict[tuple[str, str], list[_Entry]] = {}
        for entry in entries:
            if not entry.flush:
                groups.setdefault(entry.key, []).append(entry)
                continue
            self._commit(entry.key, groups.pop(entry.key, []))
            try:
                entry.result = self._seal(entry.key)
            except (OSError, SegmentError) as error:
                entry.error = error
        for key, group in groups.items():
            self._commit(key, group)

    def _commit(self, key: tuple[str, str], group: list[_Entry]) -> None:
        if not group:
            return
        try:
            segment = self._segment(key)
            segment.writer.append_all([record for entry in group for record in entry.records])
            segment.rows += sum(entry.rows for entry in group)
            segment.writer.sync()
        except (OSError, SegmentError) as error:
            # After a failed write or sync nothing is certain of the file: it is recovered at the next start.
            self._abandon(key)
            for entry in group:
                entry.error = error
            return
        self.counters.syncs += 1
        self.counters.records += sum(len(entry.records) for entry in group)

    def _segment(self, key: tuple[str, str]) -> _Segment:
        segment = self._segments.get(key)
        if segment is None:
            folder = self.spool / key[0] / key[1]
            folder.mkdir(parents=True, exist_ok=True)
            writer = SegmentWriter(folder / f"{self._ids.new(now_ms()).text(0)}{OPEN}")
            segment = self._segments[key] = _Segment(writer, time.monotonic())
        return segment

    def _rotate(self) -> None:
        now = time.monotonic()
        for key, segment in list(self._segments.items()):
            if segment.writer.size >= self.limits.segment_bytes or now - segment.opened >= self.limits.segment_age_s:
                try:
                    self._seal(key)
                except (OSError, SegmentError) as error:
                    log.error("segment.not_sealed %s", error)
                    self._abandon(key)

    def _seal(self, key: tuple[str, str]) -> dict[str, Any]:
        segment = self._segments.get(key)
        if segment is None:
            return {}
        info = segment.writer.close()
        del self._segments[key]
        sealed = info.path.with_suffix(SEALED)
        info.path.rename(sealed)
        return {"file": sealed.name, "rows": segment.rows}

    def _abandon(self, key: tuple[str, str]) -> None:
        """Let go of a file as it is; new records go to another one."""
        segment = self._segments.pop(key, None)
        if segment is not None:
            segment.writer.abandon()


def _resolve(entries: list[_Entry]) -> None:
    for entry in entries:
        if entry.waiter.done():
            continue
        if entry.error is None:
            entry.waiter.set_result(entry.result)
        else:
            log.error("log.refused %s", entry.error)
            entry.waiter.set_exception(
                RequestError(NOT_READY, "the prediction log cannot be written, and nothing is answered without it")
            )
