"""The memory bus and the real nats-server under one behaviour suite, and what only the real one has: permissions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from capstan_servicekit.bus.memory import MemoryBus, subject_matches
from capstan_servicekit.bus.port import Ack, Bus, BusUnavailable, Message
from capstan_testkit.broker import broker
from capstan_testkit.suites.bus import OTHER, SUBJECT, BusBehaviour, consuming, until

if TYPE_CHECKING:
    from capstan_testkit.containers import NatsServer


class TestMemoryBus(BusBehaviour):
    @pytest.fixture
    def bus(self) -> Bus:
        return MemoryBus()


class _BothSides:
    """Publishes as ingestion and consumes as the feature store, each with its own credentials."""

    def __init__(self, publisher: Bus, reader: Bus) -> None:
        self.publish, self.consume, self.connect = publisher.publish, reader.consume, publisher.connect
        self.close, self.connected, self.check = publisher.close, True, reader.check


@pytest.mark.integration
class TestNats(BusBehaviour):
    @pytest.fixture
    async def bus(self, tmp_path: Path) -> AsyncIterator[Bus]:
        async with broker(tmp_path) as running:
            publisher, reader = running.bus("ingestion"), running.bus("feature-store")
            await publisher.connect()
            await reader.connect()
            yield _BothSides(publisher, reader)
            await publisher.close()
            await reader.close()

    async def test_a_service_can_only_publish_its_own_event_types(self, tmp_path: Path) -> None:
        async with broker(tmp_path) as running:
            monitoring = running.bus("monitoring")
            await monitoring.connect()
            with pytest.raises(BusUnavailable):
                await monitoring.publish(SUBJECT, b"forged", message_id="forged")
            await monitoring.close()

    async def test_messages_survive_a_killed_broker(self, tmp_path: Path) -> None:
        seen: list[bytes] = []

        async def take(message: Message) -> Ack:
            seen.append(message.body)
            return Ack()

        async with broker(tmp_path) as running:
            bus = running.bus("ingestion")
            await bus.connect()
            await bus.publish(OTHER, b"kept", message_id="kept")
            running.process.kill()
            running.process.wait(10)
            await bus.close()
        async with broker(tmp_path) as running:
            reader = running.bus("monitoring")
            await reader.connect()
            async with consuming(reader, "monitoring", take, (OTHER,)):
                await until(lambda: seen == [b"kept"])
            await reader.close()


@pytest.mark.containers
class TestNatsInAContainer(BusBehaviour):
    """The public image, over a published port."""

    @pytest.fixture
    async def bus(self, nats_in_container: NatsServer) -> AsyncIterator[Bus]:
        await nats_in_container.empty()
        publisher, reader = nats_in_container.bus("ingestion"), nats_in_container.bus("feature-store")
        await publisher.connect()
        await reader.connect()
        yield _BothSides(publisher, reader)
        await publisher.close()
        await reader.close()


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.*.c", "a.b.c", True), ("a.*", "a.b.c", False), ("a.>", "a.b.c", True), ("a.>", "a", False),
        ("a.b", "a.b", True), ("a.b.c", "a.b", False),
    ],
)  # fmt: skip
def test_subjects_match_as_in_nats(pattern: str, subject: str, expected: bool) -> None:
    assert subject_matches(pattern, subject) is expected
