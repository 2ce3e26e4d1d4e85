"""Whose recipes a machine takes that cannot keep them in a box."""

from __future__ import annotations

import pytest

from capstan_training.domain.trust import too_many


@pytest.mark.parametrize(
    ("others", "persons", "why"),
    [
        ([], ["local"], ""),
        (["mine"], ["local"], ""),
        (["foreign", "mine"], ["local"], "the project 'foreign' has recipes here already"),
        ([], ["local", "ada"], "2 people have tokens here: ada, local"),
    ],
)
def test_one_project_of_one_person(others: list[str], persons: list[str], why: str) -> None:
    assert too_many("mine", others, persons) == why
