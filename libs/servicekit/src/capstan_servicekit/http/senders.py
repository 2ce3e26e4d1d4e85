"""Limits on who sends: time for a header, time and pace of a body, connections per peer.

uvicorn closes a connection that idles between requests and no other, so that a header that never ends would hold its
connection for ever. All connections are looked at once a second; a request itself pays for a counter of its body.
No framework here: the model server uses it, too.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_TICKS: Final = 10
"""uvicorn ticks ten times a second."""
_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class SenderLimits:
    """Seconds from a connection, or the first byte of a further request, to the end of the header; seconds that a body
    may pause, and after as many seconds its least pace; connections at a time from one address.
    """

    header_s: float = 10.0
    body_s: float = 30.0
    body_bytes_per_s: int = 1024
    connections_per_peer: int = 512


class LimitedProtocol(HttpToolsProtocol):
    """One connection. Made into a class per server by `limited`."""

    limits: ClassVar[SenderLimits]
    peers: ClassVar[Counter[str]]

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._peer = ""
        self._received = 0
        self._seen: tuple[RequestResponseCycle | None, str] = (None, "")
        self._begun = self._moved = 0.0
        self._had = self._first = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Count it; one too many is told so and closed."""
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        self.peers[self._peer] += 1
        if self.peers[self._peer] > self.limits.connections_per_peer:
            transport.write(_TOO_MANY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        super().connection_lost(exc)
        self.peers[self._peer] -= 1
        if self.peers[self._peer] <= 0:
            del self.peers[self._peer]

    def on_body(self, body: bytes) -> None:
        """Count what has come."""
        self._received += len(body)
        super().on_body(body)

    def look(self, now: float) -> None:
        """Close the connection where its sender is late; called once a second."""
        phase = self._phase()
        if self._seen != (self.cycle, phase):
            self._seen, self._begun, self._moved = (self.cycle, phase), now, now
            self._first = self._had = self._received
            return
        if phase == "header" and now - self._begun > self.limits.header_s:
            self._end()
        elif phase == "body":
            if self.flow.read_paused or self._received != self._had:
                self._had, self._moved = self._received, now
            took = now - self._begun - self.limits.body_s
            slow = self._received - self._first < took * self.limits.body_bytes_per_s and not self.flow.read_paused
            if slow or now - self._moved > self.limits.body_s:
                self._end()

    def _phase(self) -> str:
        """What is waited for: "header", "body", or nothing from the sender."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first header is whole
        if cycle is None or cycle.response_complete:
            return "header" if self.timeout_keep_alive_task is None else ""
        return "body" if cycle.more_body else ""

    def _end(self) -> None:
        if self.transport.is_closing():
            return
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_TOO_SLOW)
        self.transport.close()


def limited(limits: SenderLimits) -> type[LimitedProtocol]:
    """The protocol of one server, for `uvicorn.Config(http=...)`."""
    return type("Limited", (LimitedProtocol,), {"limits": limits, "peers": Counter()})


class LimitedServer(uvicorn.Server):
    """A server that looks at its connections once a second."""

    async def on_tick(self, counter: int) -> bool:
        """uvicorn's own tick, and the look."""
        if counter % _TICKS == 0:
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, LimitedProtocol):
                    connection.look(now)
        return await super().on_tick(counter)
