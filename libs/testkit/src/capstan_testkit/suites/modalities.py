"""What every modality must do with a batch: an outcome for each, and a canonical file for those that pass alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest


class Checked(Protocol):
    """What a test sees of a check."""

    @property
    def outcome(self) -> Any:
        """The outcome of the port."""
        ...

    @property
    def scratch(self) -> Path:
        """The folder that the check wrote to."""
        ...

    @property
    def asked(self) -> int:
        """How often the engine ran."""
        ...


Check = Callable[..., Checked]
"""`check(content, critical=1, warning=1, info=1)`: check a batch; the engine finds one of each given severity failed
on row 1. Each call has a scratch folder of its own."""


class ModalityBehaviour:
    """Inherit, and give the fixtures `check` (a Check), `good` (bytes of a batch that passes) and `bad` (of none)."""

    def test_a_batch_that_passes_is_written_once(self, check: Check, good: bytes) -> None:
        made = check(good)
        outcome = made.outcome
        assert outcome.verdict.passed and outcome.verdict.rows > 1 and outcome.columns
        assert (made.scratch / outcome.canonical).stat().st_size > 0
        assert outcome.event_time_min <= outcome.event_time_max
        assert outcome.failing_rows is None and outcome.failing_total == 0

    def test_the_same_batch_gives_the_same_bytes(self, check: Check, good: bytes) -> None:
        made = [check(good), check(good)]
        contents = {(checked.scratch / checked.outcome.canonical).read_bytes() for checked in made}
        assert len(contents) == 1

    def test_what_cannot_be_taken_is_an_outcome_and_leaves_nothing(self, check: Check, bad: bytes) -> None:
        made = check(bad)
        assert not made.outcome.verdict.passed and made.outcome.canonical is None and made.outcome.columns == {}
        assert [result.severity for result in made.outcome.verdict.checks] == ["critical"]
        assert made.outcome.verdict.checks[0].sentence
        assert not [path for path in made.scratch.rglob("*.parquet") if path.is_file()]
        assert made.asked == 0, "the engine takes seconds: it is not asked about a file that cannot be read"

    def test_a_critical_failure_blocks_and_names_its_rows(self, check: Check, good: bytes) -> None:
        made = check(good, critical=1)
        assert not made.outcome.verdict.passed and made.outcome.canonical is None
        assert made.outcome.failing_total == 1
        assert b'"_row":1' in (made.scratch / made.outcome.failing_rows).read_bytes()

    @pytest.mark.parametrize("severity", ["warning", "info"])
    def test_anything_less_is_recorded_and_does_not_block(self, check: Check, good: bytes, severity: str) -> None:
        made = check(good, **{severity: 1})
        assert made.outcome.verdict.passed and made.outcome.canonical is not None
        assert [entry.severity for entry in made.outcome.verdict.checks if entry.outcome == "failed"] == [severity]

    def test_nothing_is_written_outside_of_scratch(self, check: Check, good: bytes, tmp_path: Path) -> None:
        before = {path for path in tmp_path.iterdir()}
        made = check(good)
        assert {path for path in tmp_path.iterdir()} - before <= {made.scratch, *made.scratch.parents}
