"""Columns of a batch against what the dataset needs: which are missing, which are new, which have another type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from capstan_ingestion.domain.contract import Expectation

TYPES: Final = ("int64", "float64", "string", "bool", "timestamp", "date")
"""Types of a column in a dataset; timestamps are UTC with microseconds."""


@dataclass(frozen=True)
class Refusal:
    """A rule that a file as a whole breaks, with the sentence that says where and what to do."""

    rule: str
    sentence: str
    column: str | None = None


def missing_columns(
    present: Sequence[str], needed: Mapping[str, str], contract: Sequence[Expectation], earlier: Mapping[str, str]
) -> list[Refusal]:
    """Columns that are not there although something reads them. `needed` maps a column to what reads it."""
    asked: dict[str, str] = {}
    for one in contract:
        if one.severity == "critical" and one.type != "expect_column_to_exist":
            asked |= {column: f"the contract ({one.key})" for column in one.columns if column not in asked}
    wanted = {column: "the dataset's other files" for column in earlier} | asked | dict(needed)
    return [
        Refusal("missing-columns", f"{column}: there is no such column, and {reader} needs it", column)
        for column, reader in wanted.items()
        if column not in present
    ]


def new_columns(present: Sequence[str], earlier: Mapping[str, str]) -> list[Refusal]:
    """Columns that the dataset's other files do not have; none where there are no other files."""
    if not earlier:
        return []
    return [
        Refusal(
            "new-columns",
            f"{column}: the dataset's other files have no such column; leave it out, or start a new dataset",
            column,
        )
        for column in present
        if column not in earlier
    ]


def wrong_type(column: str, found: str, wanted: str) -> Refusal:
    """A column of another type than in the dataset's other files."""
    return Refusal("wrong-type", f"{column}: is {found}, but the dataset's other files have {wanted}", column)
