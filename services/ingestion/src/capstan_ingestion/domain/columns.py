"""Columns of a batch against what the dataset needs: which are missing, which are new, which have another type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capstan_ingestion.domain.advice import advice_for
from capstan_ingestion.domain.contract import Expectation


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
    for expectation in contract:
        if expectation.severity == "critical" and expectation.type != "expect_column_to_exist":
            asked |= {
                column: f"the contract ({expectation.key})" for column in expectation.columns if column not in asked
            }
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
            f"{column}: the dataset's other files have no such column; name it under `ignore` of the dataset, "
            "leave it out of the file, or start a new dataset",
            column,
        )
        for column in present
        if column not in earlier
    ]


def wrong_type(
    column: str, type_in_file: str, wanted: str, *, declared: bool = False, example: str | None = None
) -> Refusal:
    """A column of another type than the dataset declares or its other files have; `example` is a text of the column."""
    whose = "the dataset declares" if declared else "the dataset's other files have"
    said = f" ({example[:60]!r} is one of its values)" if example is not None else ""
    remedy = advice_for(example, wanted) if example is not None else _remedy(column, declared=declared)
    return Refusal("wrong-type", f"{column}: is {type_in_file}{said}, but {whose} {wanted}; {remedy}", column)


def _remedy(column: str, *, declared: bool) -> str:
    change = "change its type under `columns`" if declared else "send it as that type"
    return f"{change}, or leave it out with `ignore: [{column}]`"


def changed_declarations(declared: Mapping[str, str], earlier: Mapping[str, str]) -> list[Refusal]:
    """Columns that are declared otherwise than the dataset's other files have them: versions hold one type each."""
    return [
        Refusal(
            "declared-type",
            f"{column}: is declared {wanted}, and the dataset's other files have {earlier[column]}; a version has one "
            "type for all its files: declare the one they have, or start a new dataset",
            column,
        )
        for column, wanted in declared.items()
        if earlier.get(column, "null") not in ("null", wanted)
    ]


def same_but_for_case(names: Sequence[str]) -> list[Refusal]:
    """Columns that SQL cannot tell apart."""
    seen: dict[str, str] = {}
    refusals = []
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            sentence = f"{name}: differs from {other} by case alone, which SQL ignores; rename or ignore one of them"
            refusals.append(Refusal("duplicate-columns", sentence, name))
    return refusals
