"""The one client for addresses that users give: resolves, refuses inner addresses, pins, checks each redirect."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urljoin, urlsplit

import httpx

from capstan_contracts.errors import FieldError
from capstan_servicekit.errors import EgressRefused, TooLarge, Upstream

_REDIRECTS = 3


class Egress:
    """Fetches http(s) addresses. `allow_hosts` names hosts that may be inner ones (a laptop's own file server, say)."""

    def __init__(
        self, *, allow_hosts: frozenset[str] = frozenset(), max_bytes: int = 2 << 30, timeout_s: float = 60
    ) -> None:
        self._allow, self._max_bytes, self._timeout = allow_hosts, max_bytes, timeout_s

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Stream the body of `url`; EgressRefused, Upstream, TooLarge."""
        async with httpx.AsyncClient(timeout=self._timeout, trust_env=False, follow_redirects=False) as client:
            for _ in range(_REDIRECTS + 1):
                pinned, headers, extensions = await self._pin(url)
                request = client.build_request("GET", pinned, headers=headers, extensions=extensions)
                try:
                    response = await client.send(request, stream=True)
                except httpx.TransportError as error:
                    raise Upstream(f"the address did not answer: {type(error).__name__}") from error
                try:
                    if response.is_redirect:
                        url = urljoin(url, response.headers.get("location", ""))
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
        async for chunk in response.aiter_bytes(1 << 20):
            size += len(chunk)
            if size > self._max_bytes:
                raise TooLarge(f"the body is larger than {self._max_bytes} bytes")
            yield chunk

    async def _pin(self, url: str) -> tuple[str, dict[str, str], dict[str, str]]:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise EgressRefused(
                "Only http and https addresses without credentials are fetched",
                errors=[FieldError(place="url", rule="http(s)://host/path")],
            )
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = await self._resolve(parts.hostname, port)
        literal = f"[{address}]" if ":" in address else address
        pinned = parts._replace(netloc=f"{literal}:{port}").geturl()
        return pinned, {"host": parts.netloc}, {"sni_hostname": parts.hostname}

    async def _resolve(self, host: str, port: int) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise EgressRefused(f"the host {host!r} cannot be resolved") from error
        addresses = [str(entry[4][0]) for entry in found]
        if host not in self._allow:
            for address in addresses:
                if not ipaddress.ip_address(address.split("%")[0]).is_global:
                    raise EgressRefused(
                        f"{host!r} is an inner address, which the platform does not call for users",
                        errors=[FieldError(place="url", rule="a public address")],
                    )
        return addresses[0]
