"""NATS JetStream (https://docs.nats.io/nats-concepts/jetstream) behind the bus port, by nats-py.

Two streams: `CAPSTAN` holds `capstan.>`, `CAPSTAN_DEAD` holds `capstan-dead.>`. They are made by whoever runs the
platform (`ensure_streams`); a service's own credentials may only publish its event types and read by its consumer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NoStreamResponseError, NotFoundError, ServiceUnavailableError

from capstan_servicekit.bus.port import Ack, BusUnavailable, Handler, Message
from capstan_servicekit.telemetry.logs import logger

STREAM = "CAPSTAN"
DEAD_STREAM = "CAPSTAN_DEAD"
DUPLICATE_WINDOW_S = 120
ACK_WAIT_S = 20
FETCH = 32
CHECK_EVERY_S = 5.0
_NO_CONSUMER = 10014

log = logger(__name__)


def diagnose(error: BaseException, *, url: str, user: str, setting: str) -> str:
    """What went wrong with the broker, and which setting mends it."""
    place = urlsplit(url).netloc.rpartition("@")[2] or url
    if isinstance(error, ServiceUnavailableError | NoStreamResponseError):
        return f"the broker at {place} has no JetStream; start nats-server with -js or a jetstream block"
    if isinstance(error, NotFoundError):
        return f"the broker at {place} has no stream {STREAM}; run `python -m capstan_servicekit.bus` once"
    if "authorization" in str(error).lower():
        return f"the broker at {place} refuses user {user!r}; set {setting} to the password that the broker has for it"
    if "permissions violation" in str(error).lower():
        return f"the broker at {place} does not give user {user!r} its rights; compare them with bus/nats_config.py"
    return f"the broker at {place} cannot be reached; does it run, and is CAPSTAN_BUS_URL right?"


async def ensure_streams(url: str, *, user: str, password: str, replicas: int = 1) -> None:
    """Create or update both streams; needs an administrator of the account."""

    async def ignore(_: Exception) -> None:
        """What ends the call is raised; there is no need to print it as well."""

    client = Client()
    try:
        await client.connect(
            url, user=user, password=password, allow_reconnect=False, connect_timeout=2, error_cb=ignore,
            max_reconnect_attempts=1, reconnect_time_wait=0,  # they count for the first connection as well
        )  # fmt: skip
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
        self._connecting = asyncio.Lock()
        self._diagnosis: BaseException = ConnectionError("not connected yet")
        self._checked: tuple[float, str | None] = (0.0, None)

    @property
    def connected(self) -> bool:
        """Whether the connection is up now."""
        return self._client is not None and self._client.is_connected

    async def connect(self) -> None:
        """Connect; tries for ever, because a service may start before its broker."""
        async with self._connecting:
            # The client gives up for good when the broker refuses it twice, say while its accounts are changed.
            if self._client is None or self._client.is_closed:
                await self._connect()

    async def _connect(self) -> None:
        credentials: dict[str, Any] = {"user": self._service, "password": self._password} if self._password else {}
        client = Client()
        try:
            await client.connect(
                self._url,
                name=f"capstan-{self._service}",
                inbox_prefix=f"_INBOX_{self._service}",
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.25,  # type: ignore[arg-type]  # it is slept for, whatever its annotation says
                connect_timeout=2,
                allow_reconnect=True,
                error_cb=self._report,
                **credentials,
            )
        except BaseException:
            await client.close()
            raise
        self._client, self._js = client, client.jetstream(timeout=5)

    async def _report(self, error: Exception) -> None:
        before, self._diagnosis = self._sentence(), error
        if self._sentence() != before:  # four tries a second need not all be told
            log.warning("bus.diagnosis", error=str(error) or type(error).__name__, what=self._sentence())

    def _sentence(self) -> str:
        return diagnose(self._diagnosis, url=self._url, user=self._service, setting="CAPSTAN_BUS_PASSWORD")

    async def check(self) -> str | None:
        """Connection, JetStream and stream; the broker is asked at most every five seconds."""
        if not self.connected:
            return self._sentence()
        if time.monotonic() - self._checked[0] >= CHECK_EVERY_S:
            self._checked = (time.monotonic(), await self._stream_diagnosis())
        return self._checked[1]

    async def _stream_diagnosis(self) -> str | None:
        try:
            await self._jetstream.consumer_info(STREAM, self._service, timeout=2)
        except NotFoundError as error:
            if error.err_code == _NO_CONSUMER:  # nothing is wrong: it is made by the first `consume`
                return None
            self._diagnosis = error
        except (NatsError, TimeoutError, OSError) as error:
            self._diagnosis = error
        else:
            return None
        return self._sentence()

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
            if self._client is not None and self._client.is_closed:
                await self.connect()
            raise BusUnavailable(str(error) or type(error).__name__) from error

    async def consume(self, consumer: str, subjects: Sequence[str], handler: Handler) -> None:
        """Pull with a durable consumer; whatever the broker does, come back to it."""
        while True:
            try:
                await self._consume(consumer, list(subjects), handler)
            except (NatsError, TimeoutError, OSError, BusUnavailable) as error:
                log.warning("bus.consumer_interrupted", consumer=consumer, error=str(error) or type(error).__name__)
                await asyncio.sleep(0.5)
                await self.connect()

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
                for number, message in enumerate(messages):
                    try:
                        await self._handle(message, handler)
                    except asyncio.CancelledError:
                        await _give_back(messages[number:])
                        raise
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


async def _give_back(messages: Sequence[Msg]) -> None:
    """Messages that were fetched and not handled go to the next consumer at once, and not after the wait for an ack."""
    for message in messages:
        with contextlib.suppress(NatsError, OSError):
            await message.nak()
