"""Who was champion, and who still may be gone back to."""

from __future__ import annotations

from capstan_registry.domain.champions import Crowning, ever, standing
from capstan_registry.domain.ledger import APPROVED, ROLLED_BACK


def test_versions_come_newest_first_and_those_that_were_left_do_not_stand() -> None:
    crownings = [
        Crowning(1, None, APPROVED),
        Crowning(2, 1, APPROVED),
        Crowning(3, 2, APPROVED),
        Crowning(2, 3, ROLLED_BACK),
        Crowning(5, 2, APPROVED),
    ]
    assert ever(crownings) == [5, 2, 3, 1]
    assert standing(crownings) == [5, 2, 1]
    assert standing([*crownings, Crowning(3, 5, ROLLED_BACK)]) == [3, 2, 1]
