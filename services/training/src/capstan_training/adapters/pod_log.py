"""Follows the log of a run's pod through the API, across broken streams and restarts, each line once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from capstan_servicekit.errors import Upstream
from capstan_training.actions.ports import Output
from capstan_training.domain.transcript import plain

Read = Callable[[str, str], AsyncIterator[str]]
_PAUSE_S = 0.5
_TRIES_IN_VAIN = 6
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$")


@dataclass(frozen=True)
class Position:
    """How far a pod's log was read: up to the `same`-th line of those with the time `time`."""

    pod: str
    time: str = ""
    same: int = 0

    def __str__(self) -> str:
        return f"{self.pod} {self.time} {self.same}"

    @classmethod
    def parse(cls, text: str, pod: str) -> Position:
        """Read what `str` wrote; the beginning when it was of another pod."""
        parts = text.split(" ")
        return cls(pod, parts[1], int(parts[2])) if len(parts) == 3 and parts[0] == pod else cls(pod)


def moment(time: str) -> tuple[str, str]:
    """Seconds in UTC and nanoseconds of an RFC 3339 time (Go leaves trailing zeros away), in a form that sorts."""
    parts = _TIME.match(time)
    if parts is None:
        return "", ""
    zone = "+00:00" if parts[3] == "Z" else parts[3]
    seconds = datetime.fromisoformat(parts[1] + zone).astimezone(UTC)
    return seconds.strftime("%Y-%m-%dT%H:%M:%SZ"), (parts[2] or "").ljust(9, "0")


class PodLog:
    """Hands the lines of one pod over. `read(pod, since)` opens a stream of lines with their time in front."""

    def __init__(self, read: Read, output: Output, position: Position, skip: int = 0) -> None:
        self._read, self._output, self._position, self._skip = read, output, position, skip

    async def follow(self, over: asyncio.Event) -> None:
        """Until the log ends and `over` is set; a stream that breaks is opened again where it broke."""
        vain = 0
        while vain < _TRIES_IN_VAIN:
            last = over.is_set()
            before = self._position
            try:
                await self._stream()
            except (Upstream, httpx.TransportError):
                vain = vain + 1 if last else 0
                last = False
            if last:
                return
            if self._position == before:
                await asyncio.sleep(_PAUSE_S)

    async def _stream(self) -> None:
        start = self._position
        since = moment(start.time)[0] if start.time else ""
        passed = 0
        async for raw in self._read(start.pod, since):
            time, _, text = raw.partition(" ")
            if start.time and moment(time) < moment(start.time):
                continue
            if time == start.time and passed < start.same:
                passed += 1
                continue
            same = self._position.same + 1 if time == self._position.time else 1
            self._position = Position(start.pod, time, same)
            if self._skip > 0:
                self._skip -= 1
            else:
                await self._output.line(plain(text), str(self._position))
