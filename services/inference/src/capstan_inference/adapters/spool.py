"""The spool folder: `<spool>/<project>/<deployment>/<id>.open` while it grows, `.seg` once sealed."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from capstan_contracts.ids import NAME_PATTERN
from capstan_formats.epoch import datetime_of
from capstan_formats.segment_salvage import salvage
from capstan_formats.segments import SegmentError, find_prediction, read_heads, recover_segment
from capstan_inference.actions.ports import SealedSegment, SegmentSummary
from capstan_inference.domain.predictions import Logged
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

    async def salvage(self, path: Path, prediction: str, segment: str) -> tuple[Logged | None, str]:
        """One damaged file."""
        return await asyncio.to_thread(_salvaged, path, prediction, segment)

    def _sealed(self) -> list[SealedSegment]:
        paths = sorted(self._root.glob("*/*/*.seg"), key=lambda path: path.name)
        return [SealedSegment(path.parts[-3], path.parts[-2], path) for path in paths]

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
                if (logged := _whole_in(path, prediction)) is not None:
                    return logged
        for path in sorted((self._root / project).glob("*/*.damaged")):
            if (logged := _salvaged(path, prediction, path.name)[0]) is not None:
                return logged
        return None


def _whole_in(path: Path, prediction: str) -> Logged | None:
    """In a file of the spool; where it is damaged, in what is whole."""
    try:
        return _find_in(path, prediction, path.name)
    except SegmentError as error:
        log.error("segment.damaged", segment=path.name, error=str(error))
        return _salvaged(path, prediction, path.name)[0]


def _find_in(path: Path, prediction: str, segment: str) -> Logged | None:
    position = find_prediction(path, prediction)
    return None if position is None else Logged(*position, segment)


def _salvaged(path: Path, prediction: str, segment: str) -> tuple[Logged | None, str]:
    kept = salvage(path, prediction)
    places = "; ".join(f"byte {fault.offset}" for fault in kept.faults[:3])
    told = f"{kept.records} records with {kept.rows} predictions are whole" + (
        f", damage at {places}" if places else ""
    )
    return None if kept.found is None else Logged(*kept.found, segment), told


def _summary(path: Path) -> SegmentSummary | None:
    try:
        heads = list(read_heads(path))
    except SegmentError:
        return None
    if not heads:
        return None
    rows = sum(head.ids.count for head in heads)
    millis = [head.ids.millis for head in heads]
    times = np.concatenate([head.event_times for head in heads])
    closed_at = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    first, last = datetime_of(int(times.min())), datetime_of(int(times.max()))
    return SegmentSummary(len(heads), rows, min(millis), max(millis), first, last, closed_at)
