"""Takes what a run tells: lines into its log, steps into its progress."""

from __future__ import annotations

import time

from capstan_servicekit.work.lease import Lease
from capstan_training.actions.ports import RunLogs
from capstan_training.domain.transcript import OWN, Transcript, foreign

MARK_EVERY_S = 1.0


class RunOutput:
    """The output port of one run. `steps` is how many the pipeline has."""

    def __init__(self, run: str, steps: int, lease: Lease, logs: RunLogs) -> None:
        self._run, self._steps, self._lease, self._logs = run, steps, lease, logs
        self.transcript = Transcript()
        self._waits, self._marked = "", 0.0

    async def replay(self) -> None:
        """Read what an earlier attempt has logged, so that a run that still goes on is told of as a whole."""
        rest = ""
        async for piece in self._logs.stream(self._run):
            *lines, rest = (rest + piece).split("\n")
            for line in lines:
                if not line.startswith(OWN):
                    self.transcript.read(line)

    async def begins(self, at: str = "") -> None:
        """From the beginning."""
        self.transcript, self._waits = Transcript(), ""
        self._mark(at)

    async def waits(self, reason: str) -> None:
        """Told once in the log, and as the progress for as long as it lasts."""
        if reason != self._waits:
            self._waits = reason
            self._logs.append(self._run, f"{OWN} waiting: {reason}")
        await self._progress(f"waiting: {reason}")

    async def line(self, text: str, at: str = "") -> None:
        """One line. A position is remembered once a second: the log itself tells how many lines came after it."""
        self._logs.append(self._run, foreign(text))
        if at and time.monotonic() - self._marked >= MARK_EVERY_S:
            self._mark(at)
        if self.transcript.read(text) or self._waits:
            self._waits = ""
            await self._progress(
                f"{self.transcript.step or 'next step'} ({self.transcript.done} of {self._steps} done)"
            )

    async def resume(self) -> tuple[str, int]:
        """Position, and lines after it."""
        return await self._logs.resume(self._run)

    def _mark(self, at: str) -> None:
        if at:
            self._logs.mark(self._run, at)
            self._marked = time.monotonic()

    async def _progress(self, message: str) -> None:
        total = self._steps + 2
        await self._lease.progress(min(1 + self.transcript.done, total - 1), total, f"pipeline: {message}")
