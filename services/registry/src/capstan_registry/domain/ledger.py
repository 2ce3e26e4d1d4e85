"""The ledger's hash chain: hash = sha256(previous hash + canonical JSON of the decision), per project, from 64 zeros.

Canonical JSON: keys sorted, no spaces, UTF-8, no NaN; `at` in UTC with six digits of microseconds and `Z`. The members
are those of `Decision`, so that anybody can recompute the chain from `GET /ledger`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

GENESIS: Final = "0" * 64
APPROVED: Final = "approved"
REFUSED: Final = "refused"
ROLLED_BACK: Final = "rolled-back"
CROWNED: Final = (APPROVED, ROLLED_BACK)
"""Decisions after which the version is champion."""


def canonical(value: object) -> str:
    """The one spelling of a JSON value. ValueError for NaN and infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a row says: which version was approved or refused, against whom, by whose request, with which figures."""

    project: str
    sequence: int
    model: str
    version: int
    previous_version: int | None
    decision: str
    by: str
    at: datetime
    package: str
    gates: list[dict[str, object]]

    def hash_after(self, previous_hash: str) -> str:
        """The hash of this row behind `previous_hash`."""
        at = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return hashlib.sha256((previous_hash + canonical(asdict(self) | {"at": at})).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Link:
    """A decision as it is stored; None where the row can no longer be read."""

    sequence: int
    decision: Decision | None
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the chain is untouched; else the first sequence that is missing or does not fit."""

    entries: int
    head: str
    broken_at: int | None = None


def verify(links: Iterable[Link], *, at_least: int = 0) -> Verdict:
    """Recompute the chain; rows come by sequence. `at_least` rows must be there: others refer to the last of them."""
    head, count = GENESIS, 0
    for link in links:
        expected = count + 1
        whole = link.decision is not None and link.decision.hash_after(head) == link.hash
        if link.sequence != expected or link.previous_hash != head or not whole:
            return Verdict(count, head, broken_at=expected)
        head, count = link.hash, expected
    return Verdict(count, head, broken_at=count + 1 if count < at_least else None)
