"""NATS JetStream (https://docs.nats.io/nats-concepts/jetstream) behind the bus port, by nats-py.

Two streams: `CAPSTAN` holds `capstan.>`, `CAPSTAN_DEAD` holds `capstan-dead.>`. They are made by whoever runs the
platform (`ensure_streams`); a service's own credentials may only publish its event types and read by its consumer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError

from capstan_servicekit.bus.port import Ack, BusUnavailable, Handler, Message
from capstan_servicekit.telemetry import logger

STREAM = "CAPSTAN"
DEAD_STREAM = "CAPSTAN_DEAD"
DUPLICATE_WINDOW_S = 120
ACK_WAIT_S = 60
FETCH = 32

log = logger(__name__)


async def ensure_streams(url: str, *, user: str, password: str, replicas: int = 1) -> None:
    """Create or update both streams; needs an administrator of the account."""
    client = await nats.connect(url, user=user, password=password, max_reconnect_attempts=3, connect_timeout=2)
    try:
        js = client.jetstream()
        for name, subjects in ((STREAM, ["capstan.>"]), (DEAD_STREAM, ["capstan-dead.>"])):
            config = StreamConfig(
                name=name,
                subjects=subjects,
                storage=StorageType.FILE,
                retention=RetentionPolicy.LIMITS,
                duplicate_window=DUPLICATE_WINDOW_S,
                num_replicas=replicas,
                max_age=90 * 86400,
            )
            try:
                await js.add_stream(config)
            except BadRequestError:  # it exists with other settings
                await js.update_stream(config)
    finally:
        await client.close()


class NatsBus:
    """A connection of one service."""

    def __init__(self, url: str, *, service: str, password: str) -> None:
        self._url, self._service, self._password = url, service, password
        self._client: Client | None = None
        self._js: JetStreamContext | None = None

    @property
    def connected(self) -> bool:
        """Whether the connection is up now."""
        return self._client is not None and self._client.is_connected

    async def connect(self) -> None:
        """Connect; tries for ever, because a service may start before its broker."""
        if self._client is not None:
            return
        credentials = {"user": self._service, "password": self._password} if self._password else {}
        self._client = await nats.connect(
            self._url,
            name=f"capstan-{self._service}",
            inbox_prefix=f"_INBOX_{self._service}",
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,
            connect_timeout=2,
            allow_reconnect=True,
            error_cb=self._report,
            **credentials,
        )
        self._js = self._client.jetstream(timeout=5)

    async def _report(self, error: Exception) -> None:
        log.warning("bus.trouble", error=str(error) or type(error).__name__)

    @property
    def _jetstream(self) -> JetStreamContext:
        if self._js is None:
            raise BusUnavailable("not connected yet")
        return self._js

    async def publish(self, subject: str, body: bytes, *, message_id: str) -> None:
        """Publish and wait for the ack, which comes after fsync (the server runs with `sync_interval: always`)."""
        try:
            await self._jetstream.publish(subject, body, headers={"Nats-Msg-Id": message_id})
        except (NatsError, TimeoutError, OSError) as error:
            raise BusUnavailable(str(error) or type(error).__name__) from error

    async def consume(self, consumer: str, subjects: Sequence[str], handler: Handler) -> None:
        """Pull with a durable consumer; whatever the broker does, come back to it."""
        while True:
            try:
                await self._consume(consumer, list(subjects), handler)
            except (NatsError, TimeoutError, OSError, BusUnavailable) as error:
                log.warning("bus.consumer_interrupted", consumer=consumer, error=str(error) or type(error).__name__)
                await asyncio.sleep(0.5)

    async def _consume(self, consumer: str, subjects: list[str], handler: Handler) -> None:
        js = self._jetstream
        config = ConsumerConfig(
            durable_name=consumer,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=FETCH * 2,
            filter_subjects=subjects,
        )
        await js.add_consumer(STREAM, config)
        subscription = await js.pull_subscribe_bind(consumer, STREAM)
        try:
            while True:
                try:
                    messages = await subscription.fetch(FETCH, timeout=5)
                except TimeoutError:
                    continue
                for message in messages:
                    await self._handle(message, handler)
        finally:
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()

    @staticmethod
    async def _handle(message: Msg, handler: Handler) -> None:
        deliveries = message.metadata.num_delivered or 1
        reply = await handler(Message(message.subject, message.data, deliveries, dict(message.headers or {})))
        if isinstance(reply, Ack):
            await message.ack()
        else:
            await message.nak(delay=reply.delay_s)

    async def close(self) -> None:
        """Close the connection; unacknowledged messages come again."""
        if self._client is not None:
            await self._client.close()
            self._client = self._js = None
