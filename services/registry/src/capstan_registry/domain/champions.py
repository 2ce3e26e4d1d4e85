"""Who was champion, from the ledger's decisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from capstan_registry.domain.ledger import ROLLED_BACK


@dataclass(frozen=True, slots=True)
class Crowning:
    """A decision after which `version` was champion, in place of `previous`."""

    version: int
    previous: int | None
    decision: str


def ever(crownings: Iterable[Crowning]) -> list[int]:
    """Every version that was champion, once, by when it last became it, newest first. Crownings come oldest first."""
    return _newest_first(crownings, keep_abandoned=True)


def standing(crownings: Iterable[Crowning]) -> list[int]:
    """The same without those that somebody went back from and that have not become champion again since.

    There was a reason to leave them: nobody is sent back to one by default, and no candidate is measured by it. Going
    back is to a version that gates approved earlier; whoever undoes that has not left the older version.
    """
    return _newest_first(crownings, keep_abandoned=False)


def _newest_first(crownings: Iterable[Crowning], *, keep_abandoned: bool) -> list[int]:
    versions, approved = dict[int, None](), dict[int, int]()
    for number, crowning in enumerate(crownings):
        if crowning.decision != ROLLED_BACK:
            approved[crowning.version] = number
        elif not keep_abandoned and crowning.previous is not None and _earlier(approved, crowning):
            versions.pop(crowning.previous, None)
        versions.pop(crowning.version, None)
        versions[crowning.version] = None
    return list(reversed(versions))


def _earlier(approved: dict[int, int], crowning: Crowning) -> bool:
    return approved.get(crowning.version, -1) < approved.get(crowning.previous or 0, -1)
