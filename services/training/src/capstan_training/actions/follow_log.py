"""The log of a run: all of it now, or line by line until the run ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from capstan_contracts.work import State
from capstan_servicekit.db.session import Database
from capstan_servicekit.objects.port import ObjectStore
from capstan_training.actions.ports import RunLogs
from capstan_training.tables import run_row


class FollowLog:
    """`GET /runs/{run}/logs`. The log of an ended run that is not on this machine comes from the object store."""

    def __init__(self, database: Database, objects: ObjectStore, logs: RunLogs, *, poll_s: float) -> None:
        self._database, self._objects = database, objects
        self._logs, self._poll_s = logs, poll_s

    async def text(self, project: str, run: str) -> AsyncIterator[str]:
        """All that is there now, in pieces; NotFound."""
        await self._present(project, run)
        return self._logs.stream(run)

    async def follow(self, project: str, run: str) -> AsyncIterator[tuple[str, str]]:
        """("line", text) as they come, ("wait", "") while nothing comes, at last ("end", state); NotFound."""
        await self._present(project, run)
        return self._follow(project, run)

    async def _follow(self, project: str, run: str) -> AsyncIterator[tuple[str, str]]:
        offset = 0
        while True:
            state = await self._state(project, run)  # before reading, so that nothing written before the end is missed
            while True:
                text, offset = await self._logs.read(run, offset)
                if not text:
                    break
                for line in text.removesuffix("\n").split("\n"):
                    yield "line", line
            if state.finished:
                yield "end", state.value
                return
            yield "wait", ""
            await asyncio.sleep(self._poll_s)

    async def _present(self, project: str, run: str) -> None:
        async with self._database.read() as session:
            stored = (await run_row(session, project, run)).log
        if stored is not None and await self._logs.file(run) is None:
            await self._logs.restore(run, await self._objects.local_path(project, stored))

    async def _state(self, project: str, run: str) -> State:
        async with self._database.read() as session:
            return State((await run_row(session, project, run)).state)
