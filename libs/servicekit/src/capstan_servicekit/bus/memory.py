"""A bus inside one process, for tests and for a service on its own.

It keeps order, deduplicates by message id, redelivers and remembers durable consumers across `consume` calls, as the
real one. It does not simulate: loss of the stream, a slow network, subject permissions, the two-minute limit of
deduplication.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from capstan_servicekit.bus.port import BusUnavailable, Handler, Message, Retry


@dataclass
class _Consumer:
    position: int = 0
    pending: dict[int, int] = field(default_factory=dict)  # index in the stream -> deliveries so far


def subject_matches(pattern: str, subject: str) -> bool:
    """NATS subject matching: `*` is one token, `>` the rest."""
    wanted, have = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(have) > index
        if index >= len(have) or (token not in ("*", have[index])):
            return False
    return len(wanted) == len(have)


class MemoryBus:
    """The fake broker. `break_down()` makes it unreachable until `mend()`."""

    def __init__(self) -> None:
        self._stream: list[tuple[str, bytes]] = []
        self._ids: set[str] = set()
        self._consumers: dict[str, _Consumer] = {}
        self._arrived = asyncio.Condition()
        self._up = True

    def break_down(self) -> None:
        """Refuse everything from now on."""
        self._up = False

    def mend(self) -> None:
        """Work again."""
        self._up = True

    @property
    def log(self) -> list[tuple[str, bytes]]:
        """Everything that was published: (subject, body)."""
        return list(self._stream)

    @property
    def connected(self) -> bool:
        """Whether it works."""
        return self._up

    async def check(self) -> str | None:
        """Nothing, unless it was broken down."""
        return None if self._up else "the bus is down"

    async def connect(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def publish(self, subject: str, body: bytes, *, message_id: str) -> None:
        """Append to the stream, once per id."""
        if not self._up:
            raise BusUnavailable("the bus is down")
        async with self._arrived:
            if message_id not in self._ids:
                self._ids.add(message_id)
                self._stream.append((subject, body))
            self._arrived.notify_all()

    async def consume(self, consumer: str, subjects: Sequence[str], handler: Handler) -> None:
        """Deliver in order until cancelled; a message that asks for a retry comes again, others go on meanwhile."""
        state = self._consumers.setdefault(consumer, _Consumer())
        due: dict[int, float] = dict.fromkeys(state.pending, 0.0)
        loop = asyncio.get_running_loop()
        while True:
            ready = [index for index, at in due.items() if at <= loop.time()]
            if ready:
                index = ready[0]
            elif state.position < len(self._stream):
                index = state.position
                state.position += 1
                if not any(subject_matches(pattern, self._stream[index][0]) for pattern in subjects):
                    continue
                state.pending[index] = 0
            else:
                await self._wait(min(due.values()) - loop.time() if due else None)
                continue
            due.pop(index, None)
            state.pending[index] += 1
            subject, body = self._stream[index]
            reply = await handler(Message(subject, body, state.pending[index]))
            if isinstance(reply, Retry):
                due[index] = loop.time() + reply.delay_s
            else:
                del state.pending[index]

    async def _wait(self, seconds: float | None) -> None:
        async with self._arrived:
            try:
                async with asyncio.timeout(None if seconds is None else max(seconds, 0.0)):
                    await self._arrived.wait()
            except TimeoutError:
                return
