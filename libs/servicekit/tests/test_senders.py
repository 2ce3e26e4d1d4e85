"""Who sends slowly, or opens very many connections, holds nothing for long; who sends as it should is not hurried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import uvicorn
from starlette.types import Receive, Scope, Send

from capstan_servicekit.http.senders import LimitedServer, SenderLimits, limited
from capstan_servicekit.http.sockets import listening_socket, port_of

HOST, QUICK = "127.0.0.1", SenderLimits(header_s=1, body_s=1, body_bytes_per_s=1000, connections_per_peer=400)
HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n"


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers how many bytes the body had."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(limits: SenderLimits = QUICK) -> AsyncIterator[int]:
    sock = listening_socket(HOST, 0)
    config = uvicorn.Config(count, log_config=None, lifespan="off", http=limited(limits), timeout_graceful_shutdown=1)
    server = LimitedServer(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield port_of(sock)
    finally:
        server.should_exit = True
        await task
        sock.close()


async def exchanged(port: int, *pieces: bytes, pause: float = 0) -> bytes:
    """What comes back until the other end closes, or half a second after a whole answer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    with suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
    got = b""
    with suppress(ConnectionError, TimeoutError):
        while piece := await asyncio.wait_for(reader.read(4096), 0.5 if b"200 OK" in got else 6):
            got += piece
    writer.close()
    return got


async def test_three_hundred_half_sent_headers_are_gone_after_their_time() -> None:
    async with serving() as port:
        half = [exchanged(port, b"GET / HTTP/1.1\r\nhost: x\r\n") for _ in range(300)]
        async with asyncio.timeout(5):
            answers = await asyncio.gather(*half)
        assert {answer.split(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 408 Request Timeout"}
        assert b"200 OK" in await exchanged(port, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")


def slowly(total: int, piece: int) -> Iterator[bytes]:
    yield HEAD
    for _ in range(total // piece):
        yield b"x" * piece


async def test_a_connection_that_says_nothing_and_a_second_header_that_never_ends_are_closed() -> None:
    whole = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    async with serving() as port, asyncio.timeout(5):
        nothing, second = await asyncio.gather(exchanged(port), exchanged(port, whole + b"GET /", pause=2.5))
    assert nothing.startswith(b"HTTP/1.1 408") and second.startswith(b"HTTP/1.1 200")


async def test_a_body_that_stands_still_or_drips_is_given_up_and_one_that_comes_is_taken() -> None:
    async with serving() as port:
        async with asyncio.timeout(12):
            still, dripping, fair = await asyncio.gather(
                exchanged(port, HEAD + b"x" * 100),
                exchanged(port, *slowly(600, 1), pause=0.05),
                exchanged(port, *slowly(5000, 500), pause=0.35),
            )
    assert still.startswith(b"HTTP/1.1 408")
    assert dripping in (b"", still)  # long before its 30 s; who still sends may not get to read why
    assert fair.startswith(b"HTTP/1.1 200") and fair.endswith(b"5000")


async def test_one_address_has_so_many_connections_at_a_time() -> None:
    async with serving(replace(QUICK, header_s=30, connections_per_peer=3)) as port:
        held = [await asyncio.open_connection(HOST, port) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert (await exchanged(port)).startswith(b"HTTP/1.1 503")
        held.pop()[1].close()
        await asyncio.sleep(0.1)
        assert b"200 OK" in await exchanged(port, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        for _, writer in held:
            writer.close()
