"""A work whose two halves a test gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from capstan_contracts.errors import Problem
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease


@dataclass(frozen=True)
class Toil:
    """Nothing is said but its key."""

    KIND: ClassVar[str] = "toil"
    key: str = ""


class ToyWork(Work[Toil]):
    """Calls what it was given; without `failed` it must not fail."""

    Payload = Toil
    backoff_s = 0.01

    def __init__(
        self,
        run: Callable[[WorkItem[Toil], Lease], Awaitable[None]],
        failed: Callable[[WorkItem[Toil], Problem], None] | None = None,
    ) -> None:
        self._run, self._failed = run, failed

    async def run(self, item: WorkItem[Toil], lease: Lease) -> None:
        await self._run(item, lease)

    async def failed(self, session: WriteSession, item: WorkItem[Toil], problem: Problem) -> None:
        assert self._failed is not None, f"given up: {problem.detail}"
        self._failed(item, problem)


class OneAttempt(ToyWork):
    """The first failure is the last."""

    max_attempts = 1


class TwoAttempts(ToyWork):
    """Tried again once."""

    max_attempts = 2


class ThreeAtOnce(ToyWork):
    """Three items side by side."""

    concurrency = 3
