"""The names under which a service is reached: a request for another one is refused.

A page of a stranger whose name leads to this machine (DNS rebinding) would otherwise be, for a browser, of one origin
with the service; and links that the service makes would lead where the request says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from capstan_servicekit.errors import BadRequest, broken
from capstan_servicekit.settings import LOOPBACK, ServiceSettings

ANY_HOST: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that probes and collectors ask for under the address of a pod. They set no cookie and read none."""
_WILDCARDS: Final = frozenset({"0.0.0.0", "::", ""})
_NAME: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:]*)(:\d*)?")
_IN_CLUSTER: Final = re.compile(r"\.[a-z0-9-]+\.svc(\.cluster\.local)?")
"""What follows the name of a Service of Kubernetes; nobody outside of the cluster answers for it."""


class KnownHosts:
    """Loopback names, the service's own name as its peers have it, the address it is bound to, and the settings'.

    A service that listens at every address of its pod is also reached under addresses that it cannot know, such as its
    Service's. Those are taken: what leads astray is a name, and an address is what a caller has really connected to.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        own = [(urlsplit(url).hostname or "").lower() for url in settings.own_urls]
        self._own = own[0]
        bound = {settings.host.lower()} - _WILDCARDS
        self._any_address = not bound
        self._names = frozenset({*LOOPBACK, *own, *bound, *(name.lower() for name in settings.hosts)})

    def check(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """BadRequest for a Host that is not one of ours. A request without one (HTTP/1.0) names no other."""
        if path in ANY_HOST:
            return
        for name, value in headers:
            if name == b"host" and not self._known(value.decode("latin-1")):
                raise BadRequest(
                    "The request is for a host that this service does not have",
                    errors=broken("header Host", "a name of this service; further ones are listed in CAPSTAN_HOSTS"),
                )

    def _known(self, value: str) -> bool:
        match = _NAME.fullmatch(value)
        if match is None:
            return False
        name = match[1].strip("[]").rstrip(".").lower()
        if name in self._names or (self._any_address and _is_address(name)):
            return True
        return name.startswith(self._own) and _IN_CLUSTER.fullmatch(name, len(self._own)) is not None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
