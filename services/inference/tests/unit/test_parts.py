"""What a deployment takes from its loop."""

from __future__ import annotations

from typing import Any

from capstan_inference.domain.parts import ServingPart, changes, follows

SERVING = ServingPart(event_time_column="departure", entity_columns=("flight", "departure"), log_features=True)


def test_older_ledger_entries_never_replace_newer_ones() -> None:
    assert follows(1, None) and follows(2, 1)
    assert not follows(1, 1) and not follows(1, 2)


def test_a_part_takes_the_keys_of_the_dataset_and_the_time_of_the_label(make_part: Any) -> None:
    part = ServingPart.of(make_part().resolved)
    assert part == SERVING
    assert ServingPart.from_json(part.to_json()) == part


def test_each_change_is_a_sentence() -> None:
    assert changes("d", SERVING, SERVING) == []
    assert changes("d", None, SERVING) == ["deployment d is made and waits for its first champion"]
    silent = SERVING.model_copy(update={"log_features": False})
    assert changes("d", SERVING, silent) == ["deployment d: log_features True becomes False"]
