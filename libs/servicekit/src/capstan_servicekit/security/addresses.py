"""Which addresses are machines of the internet: an allow-list of kinds; what others carry inside is unwrapped.

Kinds are those of the special-purpose registries (RFC 6890) as `ipaddress` knows them, and narrower where its list is
older than a registration.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_UNICAST: Final = IPv6Network("2000::/3")
"""All that was ever given to the internet (RFC 4291): no link-local, site-local, unique-local, group."""
_NOT_THE_INTERNET: Final = (
    IPv6Network("2001:db8::/32"), IPv6Network("3fff::/20"),  # documentation (RFC 3849, RFC 9637)
    IPv4Network("192.88.99.0/24"),  # relays of 6to4, withdrawn (RFC 7526)
)  # fmt: skip


def _last(address: int) -> tuple[int, ...]:
    return (address & 0xFFFF_FFFF,)


_CARRYING: Final[tuple[tuple[IPv6Network, Callable[[int], tuple[int, ...]]], ...]] = (
    (IPv6Network("::ffff:0:0/96"), _last),  # IPv4-mapped (RFC 4291)
    (IPv6Network("::ffff:0:0:0/96"), _last),  # IPv4-translated (RFC 2765)
    (IPv6Network("::/96"), _last),  # IPv4-compatible (RFC 4291), and with it :: and ::1
    (IPv6Network("64:ff9b::/96"), _last),  # NAT64 (RFC 6052)
    (IPv6Network("2002::/16"), lambda address: (address >> 80 & 0xFFFF_FFFF,)),  # 6to4 (RFC 3056)
    # Teredo (RFC 4380): its server, and the client with all bits turned.
    (IPv6Network("2001::/32"), lambda address: (address >> 64 & 0xFFFF_FFFF, ~address & 0xFFFF_FFFF)),
)
"""Prefixes of addresses that lead to IPv4 ones, and which those are.

64:ff9b:1::/48 (RFC 8215) is not among them: it is for translators of one's own network, and where the IPv4 address lies
in it is their choice, so that it is refused whole.
"""


def is_public(text: str) -> bool:
    """Whether an address, as a name server gives it, is one machine of the internet and not of somebody's own network.

    An IPv4 address that an IPv6 one carries is judged in its place. ValueError for what is no address.
    """
    address = ip_address(text.split("%")[0])
    if isinstance(address, IPv4Address):
        return _plain(address)
    for prefix, carried in _CARRYING:
        if address in prefix:
            return all(_plain(IPv4Address(one)) for one in carried(int(address)))
    return address in _UNICAST and _plain(address)


def _plain(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and not any(address in one for one in _NOT_THE_INTERNET)
