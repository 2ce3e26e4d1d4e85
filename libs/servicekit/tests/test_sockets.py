"""Listening sockets: answers leave at once, taken ports are passed over, and what cannot be bound is said."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from capstan_servicekit.http.sockets import NoPort, free_port, listening_socket, port_of
from capstan_testkit.listening import listening

HOST = "127.0.0.1"
SERVE = """
import os, sys
from capstan_servicekit.http.sockets import listening_socket, port_of
sock = listening_socket("127.0.0.1", 0)
child = os.fork()
if child == 0:
    import asyncio
    import uvicorn
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
    asyncio.run(uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off")).serve(sockets=[sock]))
    os._exit(0)
print(child, port_of(sock), flush=True)
os.waitpid(child, 0)
"""


async def two_packets(scope: Scope, receive: Receive, send: Send) -> None:
    """An answer as every framework sends it: the header first, then the body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def median_ms(call: Callable[[], object], count: int = 20) -> float:
    """The median over `count` calls, in milliseconds, after one that opens the connection."""
    call()
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        call()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


@pytest.mark.skipif(sys.platform != "linux", reason="a delayed acknowledgement takes 40 ms on Linux")
def test_a_forked_server_answers_a_kept_connection_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child, port = map(int, parent.stdout.readline().split())
        try:
            with httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False) as client:
                assert median_ms(lambda: client.get("/").raise_for_status()) < 10
        finally:
            os.kill(child, signal.SIGTERM)


async def test_an_accepted_connection_does_not_wait_to_fill_a_packet() -> None:
    seen: list[int] = []

    async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    sock = listening_socket(HOST, 0)
    async with await asyncio.start_server(accepted, sock=sock):
        reader, writer = await asyncio.open_connection(HOST, port_of(sock))
        await reader.read()
        writer.close()
    assert seen == [1]


async def test_the_testkit_listens_in_the_same_way() -> None:
    sock = listening_socket(HOST, 0)
    assert sock.proto == socket.IPPROTO_TCP
    async with listening(two_packets, sock), httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{HOST}:{port_of(sock)}/")).text == "ok"


def test_a_taken_port_is_passed_over() -> None:
    with listening_socket(HOST, 0) as first, listening_socket(HOST, port_of(first), 0) as second:
        assert port_of(second) not in (0, port_of(first))


def test_the_first_free_port_is_taken() -> None:
    wanted = free_port(HOST)
    with listening_socket(HOST, wanted, 0) as sock:
        assert port_of(sock) == wanted
        assert free_port(HOST, wanted) != wanted
    assert free_port(HOST, wanted) == wanted


def test_where_nothing_is_free_the_ports_and_the_reason_are_said() -> None:
    with listening_socket(HOST, 0) as first, listening_socket(HOST, 0) as second:
        one, two = port_of(first), port_of(second)
        with pytest.raises(NoPort, match=rf"cannot listen on port {one} and {two} of 127\.0\.0\.1: Address already"):
            listening_socket(HOST, one, two)


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(NoPort, match=r"cannot listen on port 0 of 192\.0\.2\.1"):
        listening_socket("192.0.2.1", 0)


def test_an_ipv6_address_is_taken() -> None:
    try:
        sock = listening_socket("::1", 0)
    except NoPort as error:
        pytest.skip(str(error))
    with sock:
        assert sock.family == socket.AF_INET6 and sock.proto == socket.IPPROTO_TCP
