"""What every event bus must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from capstan_servicekit.bus.port import Ack, Bus, Handler, Message, Retry

SUBJECT = "capstan.default.dataset.committed.v1"
OTHER = "capstan.default.batch.quarantined.v1"


@asynccontextmanager
async def consuming(bus: Bus, consumer: str, handler: Handler, subjects: tuple[str, ...]) -> AsyncIterator[None]:
    """A consumer in the background."""
    task = asyncio.create_task(bus.consume(consumer, subjects, handler))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the broker is another process
            await asyncio.sleep(0.02)


class BusBehaviour:
    """Inherit, and give a connected `bus` fixture and the name of a `consumer` that it may use."""

    consumer = "feature-store"

    @pytest.mark.asyncio
    async def test_messages_arrive_in_order(self, bus: Bus) -> None:
        seen: list[bytes] = []

        async def take(message: Message) -> Ack:
            seen.append(message.body)
            return Ack()

        for number in range(20):
            await bus.publish(SUBJECT, str(number).encode(), message_id=f"order-{number}")
        async with consuming(bus, self.consumer, take, (SUBJECT,)):
            await until(lambda: len(seen) == 20)
        assert seen == [str(number).encode() for number in range(20)]

    @pytest.mark.asyncio
    async def test_the_same_message_id_is_kept_once(self, bus: Bus) -> None:
        seen: list[bytes] = []

        async def take(message: Message) -> Ack:
            seen.append(message.body)
            return Ack()

        for _ in range(3):
            await bus.publish(SUBJECT, b"once", message_id="the-same")
        await bus.publish(SUBJECT, b"last", message_id="another")
        async with consuming(bus, self.consumer, take, (SUBJECT,)):
            await until(lambda: seen[-1:] == [b"last"])
        assert seen == [b"once", b"last"]

    @pytest.mark.asyncio
    async def test_only_the_wanted_subjects_come(self, bus: Bus) -> None:
        seen: list[str] = []

        async def take(message: Message) -> Ack:
            seen.append(message.subject)
            return Ack()

        await bus.publish(OTHER, b"no", message_id="other")
        await bus.publish(SUBJECT, b"yes", message_id="wanted")
        async with consuming(bus, self.consumer, take, ("capstan.*.dataset.committed.v1",)):
            await until(lambda: len(seen) == 1)
            await asyncio.sleep(0.1)
        assert seen == [SUBJECT]

    @pytest.mark.asyncio
    async def test_a_retried_message_comes_again_and_does_not_stop_the_others(self, bus: Bus) -> None:
        seen: list[tuple[bytes, int]] = []

        async def take(message: Message) -> Ack | Retry:
            seen.append((message.body, message.deliveries))
            return Retry(0.2) if message.body == b"poison" and message.deliveries < 3 else Ack()

        await bus.publish(SUBJECT, b"poison", message_id="poison")
        await bus.publish(SUBJECT, b"fine", message_id="fine")
        async with consuming(bus, self.consumer, take, (SUBJECT,)):
            await until(lambda: (b"poison", 3) in seen)
        assert seen[1] == (b"fine", 1)
        assert [count for body, count in seen if body == b"poison"] == [1, 2, 3]

    @pytest.mark.asyncio
    async def test_a_durable_consumer_goes_on_where_it_stopped(self, bus: Bus) -> None:
        seen: list[bytes] = []

        async def take(message: Message) -> Ack:
            seen.append(message.body)
            return Ack()

        await bus.publish(SUBJECT, b"one", message_id="one")
        async with consuming(bus, self.consumer, take, (SUBJECT,)):
            await until(lambda: seen == [b"one"])
            await asyncio.sleep(0.2)
        await bus.publish(SUBJECT, b"two", message_id="two")
        async with consuming(bus, self.consumer, take, (SUBJECT,)):
            await until(lambda: len(seen) >= 2)
        assert seen == [b"one", b"two"]

    @pytest.mark.asyncio
    async def test_a_consumer_that_ends_gives_back_what_it_has_not_handled(self, bus: Bus) -> None:
        seen: list[bytes] = []
        begun = asyncio.Event()

        async def hang(_: Message) -> Ack:
            begun.set()
            await asyncio.Event().wait()
            return Ack()

        async def take(message: Message) -> Ack:
            seen.append(message.body)
            return Ack()

        for body in (b"one", b"two", b"three"):
            await bus.publish(SUBJECT, body, message_id=body.decode())
        async with consuming(bus, self.consumer, hang, (SUBJECT,)):
            await begun.wait()
        async with consuming(bus, self.consumer, take, (SUBJECT,)):
            await until(lambda: len(seen) == 3)
        assert sorted(seen) == [b"one", b"three", b"two"]
