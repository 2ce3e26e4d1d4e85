"""What a service needs of a broker: acknowledged publishing, and durable consumers with redelivery."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """A delivered message. `deliveries` counts from 1."""

    subject: str
    body: bytes
    deliveries: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ack:
    """Taken: do not deliver again."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not taken: deliver again after `delay_s` seconds."""

    delay_s: float


Handler = Callable[[Message], Awaitable[Ack | Retry]]


class Bus(Protocol):
    """A broker with at-least-once delivery."""

    async def connect(self) -> None:
        """Connect, and keep reconnecting; returns once connected."""
        ...

    async def publish(self, subject: str, body: bytes, *, message_id: str) -> None:
        """Publish and wait until the broker has it on disk. Within two minutes the same `message_id` is kept once."""
        ...

    async def consume(self, consumer: str, subjects: Sequence[str], handler: Handler) -> None:
        """Run a durable consumer until cancelled. Messages of one consumer are handled one after the other."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached now."""
        ...

    async def check(self) -> str | None:
        """What keeps the bus from working, as a sentence that says what to do; None when it works."""
        ...


class BusUnavailable(Exception):
    """The broker cannot be reached or does not answer; worth another try."""
