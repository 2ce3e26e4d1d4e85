"""When a person is asked about a promotion, and who may answer."""

from __future__ import annotations

from capstan_contracts.rest.registry import ApprovalGiven
from capstan_registry.domain.verdict import waiting_for
from capstan_registry.tables import PromotionRow
from capstan_servicekit.errors import Conflict, Forbidden
from capstan_servicekit.security.auth import Principal

PERSON = "user"


def awaits_answer(row: PromotionRow) -> bool:
    """Whether the gates have judged, and a person is to be asked."""
    return row.approved is None and row.approval is None and bool(waiting_sentence(row))


def waiting_sentence(row: PromotionRow) -> str:
    """What the promotion waits for; empty when for nothing."""
    return waiting_for(row.gates)


def check_may_answer(row: PromotionRow, by: Principal) -> None:
    """Forbidden for a service, and for the person who asked for the promotion."""
    if by.kind != PERSON:
        raise Forbidden(
            f"{by.id!r} is of kind {by.kind}, and a promotion is approved or rejected by a person",
            hint="Let somebody with the role operator answer with a token of their own.",
        )
    if by.id == row.requested_by:
        raise Forbidden(
            f"{by.id!r} asked for this promotion, and another person has to approve or reject it",
            hint="Let a second person with the role operator answer.",
        )


def check_is_waited_for(row: PromotionRow) -> None:
    """Conflict when the promotion is decided, answered, or not judged yet."""
    what = f"Version {row.version} of {row.model!r}"
    if row.approval is not None:
        given = row.approval
        raise Conflict(
            f"{what} was {'approved' if given.approve else 'rejected'} by {given.by!r} at {given.at:%Y-%m-%d %H:%M:%S}"
        )
    if row.approved is not None:
        raise Conflict(f"{what} is decided already", hint=f"Ledger entry {row.ledger_sequence} says why.")
    if not awaits_answer(row):
        raise Conflict(
            f"{what} does not wait for a person now",
            hint="Either its gates are still being judged, or its loop has no gate of kind approval.",
        )


def repeats(row: PromotionRow, given: ApprovalGiven) -> bool:
    """Whether the same person has given the same answer before."""
    before = row.approval
    if before is None:
        return False
    return (before.approve, before.reason, before.by) == (given.approve, given.reason, given.by)
