"""What a deployment takes from its loop."""

from __future__ import annotations

from typing import Any

from capstan_inference.domain.parts import ServingPart, follows


def test_older_ledger_entries_never_replace_newer_ones() -> None:
    assert follows(1, None) and follows(2, 1)
    assert not follows(1, 1) and not follows(1, 2)


def test_a_part_takes_the_keys_of_the_dataset_and_the_time_of_the_label(make_part: Any) -> None:
    part = ServingPart.of(make_part().resolved)
    assert part == ServingPart("departure", ("flight", "departure"), True)
    assert ServingPart.from_json(part.to_json()) == part


def test_each_change_is_a_sentence() -> None:
    part = ServingPart("departure", ("flight",), True)
    assert part.changes_from(part, "d") == []
    assert part.changes_from(None, "d") == ["deployment d is made and waits for its first champion"]
    assert ServingPart("departure", ("flight",), False).changes_from(part, "d") == [
        "deployment d: log features changes from True to False"
    ]
