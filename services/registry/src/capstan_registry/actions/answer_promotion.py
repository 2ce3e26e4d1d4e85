"""A person approves or rejects a promotion that waits for it; then the gates judge again, with the answer."""

from __future__ import annotations

from capstan_contracts.rest.registry import Approval, ApprovalGiven, Promotion
from capstan_registry.actions.request_promotion import DECIDE, answered, awaits_answer, get_promotion
from capstan_registry.tables import PromotionRow
from capstan_servicekit.errors import Conflict, Forbidden, NotFound
from capstan_servicekit.runtime import Kit
from capstan_servicekit.security.auth import Principal

PERSON = "user"


async def answer_promotion(kit: Kit, project: str, promotion: str, answer: Approval, *, by: Principal) -> Promotion:
    """Store the answer and enqueue the decision. The same answer of the same person again changes nothing.

    Forbidden for services and for who asked; Conflict when nobody is waited for, or somebody has answered; NotFound.
    """
    async with kit.database.write() as session:
        row = await session.get(PromotionRow, promotion)
        if row is None or row.project != project:
            raise NotFound(f"no promotion {promotion} in project {project!r}")
        _may_answer(row, by)
        given = ApprovalGiven(approve=answer.approve, reason=answer.reason, by=by.id, at=kit.clock.now())
        if not _repeats(row, given):
            _is_waited_for(row)
            row.approval = given.model_dump(mode="json")
            await kit.work.add(session, DECIDE, key=answered(row.id), project=project)
    async with kit.database.read() as reading:
        return await get_promotion(kit, reading, project, promotion)


def _may_answer(row: PromotionRow, by: Principal) -> None:
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


def _is_waited_for(row: PromotionRow) -> None:
    what = f"Version {row.version} of {row.model!r}"
    if row.approval is not None:
        given = ApprovalGiven.model_validate(row.approval)
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


def _repeats(row: PromotionRow, given: ApprovalGiven) -> bool:
    if row.approval is None:
        return False
    before = ApprovalGiven.model_validate(row.approval)
    return (before.approve, before.reason, before.by) == (given.approve, given.reason, given.by)
