"""The one client for addresses that users give: resolves, refuses inner addresses, pins, checks each redirect."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from capstan_contracts.errors import FieldError
from capstan_servicekit.errors import EgressRefused, TooLarge, Upstream
from capstan_servicekit.security.addresses import is_public

_REDIRECTS: Final = 3
_HOST: Final = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
"""A name as name servers have it (and the underscore, which some use), or an IPv6 address."""


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the authorities takes a tenth of a second, in which nobody else would be served."""
    return httpx.create_ssl_context(trust_env=False)


class Egress:
    """Fetches http(s) addresses. `allow_hosts` names hosts that may be inner ones (a laptop's own file server, say)."""

    def __init__(
        self,
        *,
        allow_hosts: frozenset[str] = frozenset(),
        max_bytes: int = 2 << 30,
        timeout_s: float = 60,
        deadline_s: float = 1800,
    ) -> None:
        """`timeout_s` for each step (connecting, each piece of the body), `deadline_s` for everything together."""
        self._allow, self._max_bytes, self._timeout, self._deadline = allow_hosts, max_bytes, timeout_s, deadline_s

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Stream the body of `url`; EgressRefused, Upstream, TooLarge.

        The deadline counts until the block is left: somebody who sends a byte a minute does not hold its reader.
        """
        try:
            async with asyncio.timeout(self._deadline) as deadline, self._answer(url) as body:
                yield body
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise Upstream(f"the address did not give its whole body within {self._deadline:g} s") from error

    @asynccontextmanager
    async def _answer(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async with httpx.AsyncClient(
            timeout=self._timeout, trust_env=False, follow_redirects=False, verify=_tls()
        ) as client:
            for _ in range(_REDIRECTS + 1):
                pinned, headers, extensions = await self._pin(url)
                try:
                    request = client.build_request("GET", pinned, headers=headers, extensions=extensions)
                    response = await client.send(request, stream=True)
                except httpx.InvalidURL as error:
                    raise _no_address() from error
                except httpx.TransportError as error:
                    raise Upstream(f"the address did not answer: {type(error).__name__}") from error
                try:
                    if response.is_redirect:
                        url = _redirected(url, response.headers.get("location", ""))
                        continue
                    if not response.is_success:
                        raise Upstream(f"the address answered {response.status_code}")
                    yield self._capped(response)
                    return
                finally:
                    await response.aclose()
            raise EgressRefused(f"more than {_REDIRECTS} redirects")

    async def _capped(self, response: httpx.Response) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for chunk in response.aiter_bytes(1 << 20):
                size += len(chunk)
                if size > self._max_bytes:
                    raise TooLarge(f"the body is larger than {self._max_bytes} bytes")
                yield chunk
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Upstream(f"the address broke off: {type(error).__name__}") from error

    async def _pin(self, url: str) -> tuple[str, dict[str, str], dict[str, str]]:
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:  # a port that is no number or too high, brackets around what is no IPv6 address
            raise _no_address() from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise _no_address()
        host = _host(parts)
        address = await self._resolve(host, port)
        pinned = parts._replace(netloc=f"{_literal(address)}:{port}").geturl()
        named = _literal(host) if parts.port is None else f"{_literal(host)}:{port}"
        return pinned, {"host": named}, {"sni_hostname": host}

    async def _resolve(self, host: str, port: int) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that is empty or too long
            raise EgressRefused(f"the host {host!r} cannot be resolved") from error
        addresses = [str(entry[4][0]) for entry in found]
        if host not in self._allow:
            for address in addresses:
                if not is_public(address):
                    raise EgressRefused(
                        f"{host!r} is an inner address, which the platform does not call for users",
                        errors=[FieldError(place="url", rule="a public address")],
                    )
        return addresses[0]


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _no_address() -> EgressRefused:
    return EgressRefused(
        "Only http and https addresses without credentials are fetched",
        errors=[FieldError(place="url", rule="http(s)://host/path")],
    )


def _host(parts: SplitResult) -> str:
    """The host in ASCII: names of other scripts by IDNA 2008. EgressRefused for what no name server can know."""
    try:
        host = httpx.URL(scheme="http", host=parts.hostname or "").raw_host.decode("ascii").lower()
    except httpx.InvalidURL:
        raise _no_address() from None
    if not _HOST.fullmatch(host):
        raise _no_address()
    return host


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:  # brackets around what is no IPv6 address
        raise _no_address() from None
