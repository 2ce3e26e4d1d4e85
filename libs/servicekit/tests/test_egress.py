"""The client for addresses of users: what it refuses, what it follows, and which error each kind of trouble is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from capstan_servicekit.errors import CapstanError, EgressRefused, TooLarge, Upstream
from capstan_servicekit.security.egress import Egress

HERE = frozenset({"127.0.0.1"})


@pytest.fixture(autouse=True)
def _nothing_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is broken: no test connects to another machine."""
    original = httpx.AsyncHTTPTransport.handle_async_request

    async def here(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        assert request.url.host == "127.0.0.1", f"{request.url.host} would have been connected to"
        return await original(transport, request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", here)


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives these answers, one per connection; its base URL, and the requests that it got."""
    left, seen = list(answers), list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(left.pop(0))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def to(place: str) -> bytes:
    return b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: %s\r\n\r\n" % place.encode()


async def fetched(egress: Egress, url: str) -> bytes:
    async with egress.fetch(url) as chunks:
        return b"".join([chunk async for chunk in chunks])


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`resolving("10.0.0.1", ...)`: every name resolves to these addresses."""

    def set_to(*addresses: str) -> None:
        def found(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", found)

    return set_to


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1",
        # inner IPv4 addresses behind the prefixes of NAT64 (RFC 6052) and 6to4 (RFC 3056), and groups of machines
        "64:ff9b::a9fe:a9fe", "2002:a00:1::1", "224.0.0.1", "ff02::1",
        # local NAT64 (RFC 8215), IPv4-compatible and IPv4-translated, Teredo (client 10.0.0.1; server 127.0.0.1)
        "64:ff9b:1::5db8:d70e", "64:ff9b:1:7f00:0:100::", "::127.0.0.1", "::10.0.0.1", "::ffff:0:a00:1",
        "2001:0:5db8:d70e::f5ff:fffe", "2001:0:7f00:1::a247:28f1",
        # site-local and other ranges that were never given to the internet, documentation, relays of 6to4
        "fec0::1", "feff::1", "100::1", "4000::1", "2001:db8::1", "3fff::1", "192.88.99.1", "240.0.0.1", "::",
    ],
)  # fmt: skip
async def test_a_name_of_an_inner_address_is_refused_by_its_name(resolving: Callable[..., None], address: str) -> None:
    resolving(address)
    with pytest.raises(EgressRefused, match="'files.example.org' is an inner address") as refused:
        await fetched(Egress(), "https://files.example.org/a.csv")
    assert [(error.place, error.rule) for error in refused.value.errors] == [("url", "a public address")]
    assert address not in refused.value.detail


async def test_one_inner_address_among_public_ones_is_enough(resolving: Callable[..., None]) -> None:
    resolving("93.184.215.14", "10.0.0.1")
    with pytest.raises(EgressRefused, match="inner"):
        await fetched(Egress(), "http://files.example.org/")


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14",
        "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
        "64:ff9b::5db8:d70e",
        "2002:5db8:d70e::1",
        "2001:0:5db8:d70e::a247:28f1",
    ],
)
async def test_the_connection_goes_to_the_address_that_was_looked_at(
    resolving: Callable[..., None], address: str
) -> None:
    """A second answer of the name server, an inner one this time, must not be connected to."""
    resolving(address)
    pinned, headers, extensions = await Egress()._pin("https://files.example.org:8443/a?b=c")
    literal = f"[{address}]" if ":" in address else address
    assert pinned == f"https://{literal}:8443/a?b=c"
    assert headers == {"host": "files.example.org:8443"} and extensions == {"sni_hostname": "files.example.org"}


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.org/a", "gopher://example.org", "//example.org/a", "example.org/a", "",
        "http:///a", "https://user@example.org/a", "https://user:word@example.org/a",
        "http://example.org:99999/a", "http://example.org:port/a", "http://[::1/a", "http://[nonsense]/a",
        "http://\u2603.example.org/a", "http://\uff11\uff12\uff17.0.0.1/a", "http://a b/a", "http://a%41.org/a",
    ],
)  # fmt: skip
async def test_what_is_no_plain_web_address_is_refused_with_its_rule(url: str) -> None:
    with pytest.raises(EgressRefused) as refused:
        await fetched(Egress(), url)
    assert [(error.place, error.rule) for error in refused.value.errors] == [("url", "http(s)://host/path")]


async def test_a_sign_that_no_address_has_is_refused() -> None:
    with pytest.raises(EgressRefused, match="Only http and https"):
        await fetched(Egress(allow_hosts=HERE), "http://127.0.0.1:9/a\x01.csv")


@pytest.mark.parametrize("host", ["a..b", f"{'x' * 64}.example.org", "nowhere.invalid"])
async def test_a_host_that_no_name_server_can_know_is_named(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str, *_: object, **__: object) -> None:
        name.encode("idna")  # what the real one does with it first
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(EgressRefused, match="cannot be resolved") as refused:
        await fetched(Egress(), f"http://{host}/a")
    assert repr(host) in refused.value.detail


async def test_three_redirects_are_followed_and_a_relative_one_is_taken_from_where_it_was_said() -> None:
    async with answering(to("/one/two"), to("three?x=1"), to("../four"), ok(b"rows")) as (base, seen):
        assert await fetched(Egress(allow_hosts=HERE), f"{base}/start") == b"rows"
    assert [line.split()[1] for line in seen] == [b"/start", b"/one/two", b"/one/three?x=1", b"/four"]


async def test_a_fourth_redirect_is_refused() -> None:
    async with answering(*[to("/again")] * 4, ok(b"rows")) as (base, seen):
        with pytest.raises(EgressRefused, match="more than 3 redirects"):
            await fetched(Egress(allow_hosts=HERE), base)
    assert len(seen) == 4


async def test_a_name_of_another_script_is_asked_for_and_sent_by_idna(resolving: Callable[..., None]) -> None:
    resolving("93.184.215.14")
    _, headers, extensions = await Egress()._pin("https://B\u00fccher.example:8443/a")
    assert headers == {"host": "xn--bcher-kva.example:8443"} and extensions == {"sni_hostname": "xn--bcher-kva.example"}


async def test_who_sends_a_byte_at_a_time_does_not_hold_its_reader() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Upstream, match=r"whole body within 0\.3 s"):
            await fetched(Egress(allow_hosts=HERE, deadline_s=0.3), base)


async def test_a_deadline_of_the_reader_is_the_readers_own_error() -> None:
    async with answering(ok(b"rows")) as (base, _):
        with pytest.raises(TimeoutError):
            async with Egress(allow_hosts=HERE).fetch(base), asyncio.timeout(0.01):
                await asyncio.sleep(1)


@pytest.mark.parametrize(
    "place", ["http://169.254.169.254/latest", "file:///etc/passwd", "http://localhost/x", "http://[x"]
)
async def test_a_redirect_to_an_inner_address_is_refused_like_a_first_one(place: str) -> None:
    async with answering(to(place)) as (base, _):
        with pytest.raises(EgressRefused):
            await fetched(Egress(allow_hosts=HERE), base)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Upstream, "answered 404"),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", Upstream, "answered 500"),
        (b"no http at all\r\n\r\n", Upstream, "did not answer: RemoteProtocolError"),
        (b"", Upstream, "did not answer"),
        (ok(b"x" * 11), TooLarge, "larger than 10 bytes"),
        # cut off, and bytes that are not what the header says
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", Upstream, "broke off: RemoteProtocolError"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
            Upstream,
            "broke off: DecodingError",
        ),
    ],
)
async def test_trouble_at_the_other_end_is_an_error_that_says_what_it_was(
    answer: bytes, error: type[CapstanError], said: str
) -> None:
    async with answering(answer) as (base, _):
        with pytest.raises(error, match=said):
            await fetched(Egress(allow_hosts=HERE, max_bytes=10), base)


async def test_a_body_of_just_the_allowed_length_is_taken() -> None:
    async with answering(ok(b"x" * 10)) as (base, _):
        assert await fetched(Egress(allow_hosts=HERE, max_bytes=10), base) == b"x" * 10


async def test_what_the_reader_raises_is_the_readers_own_error() -> None:
    async with answering(ok(b"rows")) as (base, _):
        with pytest.raises(EOFError, match="the disk"):
            async with Egress(allow_hosts=HERE).fetch(base):
                raise EOFError("the disk")
