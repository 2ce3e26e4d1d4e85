"""Columns of a batch against what the dataset needs: which are missing, which are new, which have another type."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from capstan_contracts.loop import DatasetSpec
from capstan_ingestion.domain.advice import advice_for
from capstan_ingestion.domain.contract import Expectation
from capstan_ingestion.domain.schema import contradictions


@dataclass(frozen=True)
class Refusal:
    """A rule that a file as a whole breaks, with the sentence that says where and what to do."""

    rule: str
    sentence: str
    column: str | None = None


def required_columns(dataset: DatasetSpec, contract: Sequence[Expectation], read: Sequence[str] = ()) -> dict[str, str]:
    """Columns that every file has to have, with what needs each: keys, clocks, declarations, critical expectations.

    And those `read` by loops: what a model learns from, or is asked by.

    Any other column is optional: a file without it has null there.
    """
    clocks = [name for name in (dataset.event_time, dataset.known_at) if name is not None]
    asked: dict[str, str] = {}
    for expectation in contract:
        if expectation.severity == "critical" and expectation.type != "expect_column_to_exist":
            asked |= {
                column: f"the contract ({expectation.key})" for column in expectation.columns if column not in asked
            }
    needed = {key: "the dataset (a key)" for key in dataset.keys} | dict.fromkeys(clocks, "the dataset (a clock)")
    needed |= {name: "the dataset (it is declared)" for name in dataset.columns if name not in needed}
    return dict.fromkeys(read, "a loop") | asked | needed


def missing_columns(present: Collection[str], required: Mapping[str, str]) -> list[Refusal]:
    """Columns that are not there although something reads them."""
    return [
        Refusal("missing-columns", f"{column}: there is no such column, and {reader} needs it", column)
        for column, reader in required.items()
        if column not in present
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


def changed_declarations(declared: Mapping[str, str], held: Mapping[str, str]) -> list[Refusal]:
    """Columns that are declared as what the dataset's other files cannot become."""
    return [Refusal("declared-type", text, name) for name, text in contradictions(held, declared).items()]


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
