"""The spool folder: `<spool>/<project>/<deployment>/<id>.open` while it grows, `.seg` once sealed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from capstan_contracts.ids import NAME_PATTERN
from capstan_formats.segments import SegmentError, read_segment, recover_segment
from capstan_inference.actions.ports import SealedSegment, SegmentSummary
from capstan_inference.domain.predictions import Logged, id_millis, instant
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
_ATTEMPTS = 3
_NAME = re.compile(NAME_PATTERN)


class FolderSpool:
    """Files are read in a thread; the model server renames them meanwhile."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def sealed(self) -> list[SealedSegment]:
        """Closed segments, oldest first: their names begin with the time."""
        return await asyncio.to_thread(self._sealed)

    async def summary(self, segment: SealedSegment) -> SegmentSummary | None:
        """One pass over the records."""
        return await asyncio.to_thread(_summary, segment.path)

    async def drop(self, segment: SealedSegment) -> None:
        """Remove the file."""
        await asyncio.to_thread(segment.path.unlink)

    async def set_aside(self, segment: SealedSegment) -> None:
        """Rename it."""
        await asyncio.to_thread(segment.path.rename, segment.path.with_suffix(".damaged"))

    async def seal_left(self) -> None:
        """Close what a process left open that is gone and will not come back; damage is set aside."""
        await asyncio.to_thread(self._seal_left)

    async def find(self, project: str, prediction: str) -> Logged | None:
        """Over all files of the project; again when one was renamed or shipped while looking."""
        for _ in range(_ATTEMPTS):
            try:
                return await asyncio.to_thread(self._find, project, prediction)
            except FileNotFoundError:
                continue
        return None

    async def find_in(self, path: Path, prediction: str, segment: str) -> Logged | None:
        """One file."""
        return await asyncio.to_thread(_find_in, path, prediction, segment)

    def _sealed(self) -> list[SealedSegment]:
        found = sorted(self._root.glob("*/*/*.seg"), key=lambda path: path.name)
        return [SealedSegment(path.parts[-3], path.parts[-2], path) for path in found]

    def _seal_left(self) -> None:
        for path in sorted(self._root.glob("*/*/*.open")):
            try:
                info = recover_segment(path)
            except SegmentError as error:
                log.error("segment.damaged", segment=path.name, error=str(error))
                path.rename(path.with_suffix(".damaged"))
                continue
            if info.count:
                path.rename(path.with_suffix(".seg"))
            else:
                path.unlink()

    def _find(self, project: str, prediction: str) -> Logged | None:
        if not _NAME.fullmatch(project):
            return None
        for pattern in ("*/*.open", "*/*.seg"):
            for path in sorted((self._root / project).glob(pattern)):
                if (found := _find_in(path, prediction, path.name)) is not None:
                    return found
        return None


def _find_in(path: Path, prediction: str, segment: str) -> Logged | None:
    if prediction.encode() not in path.read_bytes():
        return None
    for record in read_segment(path):
        for row in record["rows"]:
            if row["prediction_id"] == prediction:
                return Logged(record, row, segment)
    return None


def _summary(path: Path) -> SegmentSummary | None:
    records, rows = 0, 0
    millis: list[int] = []
    events: list[int] = []
    try:
        for ids, times in _pages(path):
            records, rows = records + 1, rows + len(ids)
            millis += (min(map(id_millis, ids)), max(map(id_millis, ids)))
            events += (min(times), max(times))
    except (SegmentError, KeyError, TypeError, ValueError):
        return None
    if not rows:
        return None
    closed_at = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    return SegmentSummary(
        records, rows, min(millis), max(millis), instant(min(events)), instant(max(events)), closed_at
    )


def _pages(path: Path) -> Iterator[tuple[list[str], list[int]]]:
    for record in read_segment(path):
        if record["rows"]:
            yield [row["prediction_id"] for row in record["rows"]], [row["event_time"] for row in record["rows"]]
