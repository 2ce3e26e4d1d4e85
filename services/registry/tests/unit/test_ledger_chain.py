"""Any edit of any row breaks the chain at that row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from capstan_registry.domain.ledger import GENESIS, Decision, Link, verify

AT = datetime(2026, 1, 1, tzinfo=UTC)


def chain(rows: int) -> list[Link]:
    links, head = [], GENESIS
    for sequence in range(1, rows + 1):
        decision = Decision(
            project="default",
            sequence=sequence,
            model="flight-delay",
            version=sequence,
            previous_version=sequence - 1 or None,
            decision="approved",
            by="ada",
            at=AT + timedelta(microseconds=sequence),
            package="ab" * 32,
            gates=[{"gate": "auc >= 0.65", "passed": True, "observed": 0.7123456789012345, "sentence": "größer"}],
        )
        links.append(Link(sequence, decision, head, decision.hash_after(head)))
        head = links[-1].hash
    return links


def test_an_untouched_chain_is_intact() -> None:
    links = chain(5)
    verdict = verify(links, at_least=5)
    assert (verdict.broken_at, verdict.entries, verdict.head) == (None, 5, links[-1].hash)
    assert verify([]).head == GENESIS


EDITS: list[dict[str, Any]] = [
    {"project": "other"},
    {"model": "other"},
    {"version": 9},
    {"previous_version": 7},
    {"decision": "refused"},
    {"by": "eve"},
    {"at": AT},
    {"package": "cd" * 32},
    {"gates": []},
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: next(iter(edit)))
@pytest.mark.parametrize("place", [0, 2, 4])
def test_every_edit_is_found(edit: dict[str, Any], place: int) -> None:
    links = chain(5)
    decision = links[place].decision
    assert decision is not None
    links[place] = replace(links[place], decision=replace(decision, **edit))
    assert verify(links).broken_at == place + 1


def test_an_edit_with_a_new_hash_breaks_the_next_row() -> None:
    links = chain(3)
    decision = links[0].decision
    assert decision is not None
    forged = replace(decision, by="eve")
    links[0] = Link(1, forged, GENESIS, forged.hash_after(GENESIS))
    assert verify(links).broken_at == 2


def test_missing_swapped_and_unreadable_rows_are_found() -> None:
    links = chain(4)
    assert verify([links[0], links[2], links[3]]).broken_at == 2
    assert verify([links[1], links[0]]).broken_at == 1
    assert verify([links[0], replace(links[1], decision=None)]).broken_at == 2
    assert verify(links[:3], at_least=4).broken_at == 4
