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


def test_whoever_undoes_a_rollback_has_not_left_the_version_in_between() -> None:
    crownings = [
        Crowning(1, None, APPROVED),
        Crowning(2, 1, APPROVED),
        Crowning(1, 2, ROLLED_BACK),
        Crowning(2, 1, ROLLED_BACK),
    ]
    assert standing(crownings[:3]) == [1]
    assert standing(crownings) == [2, 1]
    assert standing([*crownings, Crowning(1, 2, ROLLED_BACK)]) == [1]


def test_an_older_version_that_was_approved_again_may_be_left_for_the_one_before() -> None:
    crownings = [Crowning(1, None, APPROVED), Crowning(2, 1, APPROVED), Crowning(1, 2, APPROVED)]
    assert standing(crownings) == [1, 2]
    assert standing([*crownings, Crowning(2, 1, ROLLED_BACK)]) == [2]
