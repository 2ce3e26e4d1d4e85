"""The port of the family `capstan.sources`."""

from __future__ import annotations

from typing import ClassVar, Protocol

from capstan_contracts.kinds.family import Family
from capstan_contracts.kinds.sources import GROUP


class Source(Protocol):
    """Where the batches of a dataset come from. Its module is loaded by the service's process: light imports only.

    `pushed`: clients may send files, or have one fetched. A source that is fetched on a schedule will say so here and
    add the call that the scheduler makes; before there is a scheduler, nothing would call it.
    """

    kind: ClassVar[str]
    pushed: ClassVar[bool]


SOURCES: Family[type[Source]] = Family(GROUP)
