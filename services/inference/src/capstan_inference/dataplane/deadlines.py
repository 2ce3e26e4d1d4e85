"""Deadlines of many requests by one timer: setting one up for each would cost more than checking its token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from capstan_inference.dataplane.request_errors import DEADLINE, RequestError

T = TypeVar("T")
TICK_S: Final = 0.02


class Deadlines:
    """Cancels what runs late, at most a tick after its deadline."""

    def __init__(self) -> None:
        self._due: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._ticking = False

    async def within(self, seconds: float, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, or a RequestError once the time is over."""
        task = asyncio.current_task()
        assert task is not None
        self._due[task] = time.monotonic() + seconds
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK_S, self._tick)
        try:
            return await work
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            raise RequestError(DEADLINE, f"no answer within {seconds:g} s") from None
        finally:
            self._due.pop(task, None)
            self._late.discard(task)

    def _tick(self) -> None:
        now = time.monotonic()
        for task, due in list(self._due.items()):
            if due <= now:
                del self._due[task]
                self._late.add(task)
                task.cancel()
        self._ticking = bool(self._due)
        if self._ticking:
            asyncio.get_running_loop().call_later(TICK_S, self._tick)
