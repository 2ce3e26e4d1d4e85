"""Who may run next, fairly: first come, first served within a project, and the projects in turn."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Turns:
    """At most `most` calls at once, and one of each project."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: set[str] = set()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._last: dict[str, int] = {}
        """The number of a project's last turn: who had it the longest ago is next."""
        self._count = itertools.count(1)

    @asynccontextmanager
    async def turn(self, project: str) -> AsyncIterator[None]:
        """Wait for a turn; it ends with the block."""
        await self._wait(project)
        try:
            yield
        finally:
            self._running.discard(project)
            self._give()

    async def _wait(self, project: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(project, deque()).append(mine)
        self._give()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # the turn was given in the very moment of the cancellation
                self._running.discard(project)
            self._forget(project, mine)
            self._give()
            raise

    def _forget(self, project: str, mine: asyncio.Future[None]) -> None:
        queue = self._waiting.get(project)
        if queue is not None:
            with suppress(ValueError):
                queue.remove(mine)
            if not queue:
                del self._waiting[project]

    def _give(self) -> None:
        while len(self._running) < self._most:
            ready = [project for project in self._waiting if project not in self._running]
            if not ready:
                return
            project = min(ready, key=lambda name: self._last.get(name, 0))
            queue = self._waiting[project]
            first = queue.popleft()
            if not queue:
                del self._waiting[project]
            if not first.cancelled():
                self._running.add(project)
                self._last[project] = next(self._count)
                first.set_result(None)
