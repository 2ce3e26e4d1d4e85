"""The columns of a file become those of the dataset: ignored, renamed, ordered as in the earlier files, typed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from capstan_contracts.kinds.family import BrokenKind, UnknownKind
from capstan_contracts.kinds.media import MEDIUM_SPECS, Medium
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import CheckResult
from capstan_ingestion.domain.columns import (
    Refusal,
    changed_declarations,
    missing_columns,
    new_columns,
    same_but_for_case,
)
from capstan_ingestion.domain.contract import Expectation
from capstan_ingestion.domain.file_refused import UNNAMED, FileRefused
from capstan_ingestion.media.port import unreadable
from capstan_ingestion.modalities.port import Finding


def medium_spec(dataset: DatasetSpec, kind: str) -> Medium:
    """What the dataset sets for files of a medium; its defaults where it sets nothing. FileRefused: not installed."""
    for spec in dataset.media:
        if spec.kind == kind:
            return spec
    try:
        return MEDIUM_SPECS.get(kind).model_validate({})
    except (UnknownKind, BrokenKind) as error:
        raise unreadable(error) from error


def clocks_of(dataset: DatasetSpec) -> set[str]:
    """The columns that tell an instant."""
    return {column for column in (dataset.event_time, dataset.known_at) if column is not None}


def types_in_file(dataset: DatasetSpec, earlier: Mapping[str, str]) -> dict[str, str]:
    """The types that the dataset knows, by the file's names of the columns."""
    known = {name: type_ for name, type_ in earlier.items() if type_ != "null"}
    known |= dataset.columns | dict.fromkeys(clocks_of(dataset), "timestamp")
    file_name = {ours: theirs for theirs, ours in dataset.rename.items()}
    return {file_name.get(name, name): type_ for name, type_ in known.items()}


def without_index(table: pa.Table, dataset: DatasetSpec, earlier: Mapping[str, str]) -> tuple[pa.Table, list[Finding]]:
    """The table without the columns that have no name and that the dataset does not know, and a note for each.

    The first of a file is the row index that data frames write beside the data; an empty one is what a delimiter at the
    end of each line makes. Any other holds data, so it needs a name: FileRefused.
    """
    known = {*dataset.rename, *dataset.columns, *dataset.keys, *earlier}
    left_out, notes = [], []
    for place, name in enumerate(table.column_names):
        if UNNAMED.fullmatch(name) is None or name in known:
            continue
        empty = table[name].null_count == table.num_rows
        if place and not empty and not name.startswith("__index_level_"):
            text = (
                f"column {place + 1} has no name ({name!r}); name it with `rename: {{{name!r}: ...}}`, or `ignore` it"
            )
            raise FileRefused(Refusal("column-names", text, name))
        what = "is empty" if empty else "is the row index that data frames write (`index=False` leaves it out)"
        left_out.append(name)
        text = f"{name}: this column has no name and {what}; it is not stored; `rename: {{{name!r}: ...}}` keeps it"
        notes.append(Finding(_note(name, text)))
    return table.drop_columns(left_out) if left_out else table, notes


def _note(column: str, text: str) -> CheckResult:
    return CheckResult(
        key=f"{column}:index-column",
        expectation="capstan:index-column",
        column=column,
        severity="info",
        outcome="failed",
        sentence=text,
    )


def renamed(table: pa.Table, rename: Mapping[str, str]) -> pa.Table:
    """The table under the dataset's names; FileRefused when a new name is there already."""
    names = [rename.get(name, name) for name in table.column_names]
    twice = sorted(name for name in set(names) if names.count(name) > 1)
    if twice:
        old = next(name for name, new in rename.items() if new == twice[0])
        text = f"{twice[0]}: the file has this column, and {old!r} is renamed to it; ignore one of them"
        raise FileRefused(Refusal("duplicate-columns", text, twice[0]))
    return table.rename_columns(names)


def with_unread(table: pa.Table, dataset: DatasetSpec, earlier: Mapping[str, str]) -> pa.Table:
    """The table with nulls for columns of the earlier files that are ignored by now, or that never had a value."""
    file_name = {ours: theirs for theirs, ours in dataset.rename.items()}
    for name, type_ in earlier.items():
        ignored = file_name.get(name, name) in dataset.ignore
        if name not in table.column_names and (ignored or type_ == "null"):
            table = table.append_column(name, pa.nulls(table.num_rows))
    return table


def columns_kept(columns: Mapping[str, str], earlier: Mapping[str, str]) -> dict[str, str]:
    """The columns as the manifest keeps them: one without a value in this file has the type of the earlier files."""
    return {name: earlier.get(name, type_) if type_ == "null" else type_ for name, type_ in columns.items()}


def check_columns(
    names: Collection[str], dataset: DatasetSpec, contract: Sequence[Expectation], earlier: Mapping[str, str]
) -> None:
    """FileRefused with every column that is missing, new, or not to be told from another."""
    needed = {key: "the dataset (a key)" for key in dataset.keys}
    needed |= dict.fromkeys(clocks_of(dataset), "the dataset (a clock)")
    needed |= {name: "the dataset (it is declared)" for name in dataset.columns if name not in needed}
    present = list(names)
    refusals = [
        *missing_columns(present, needed, contract, earlier),
        *new_columns(present, earlier),
        *changed_declarations(dataset.columns, earlier),
        *same_but_for_case(present),
    ]
    if refusals:
        raise FileRefused(*refusals)


def check_keys(columns: Mapping[str, str], keys: Sequence[str]) -> None:
    """FileRefused for a key that rows cannot be told apart by."""
    bad = [key for key in keys if "<" in columns[key]]
    if bad:
        text = f"{bad[0]}: is {columns[bad[0]]}, and it is a key; a key is one value: text, number, bool or instant"
        raise FileRefused(Refusal("key-type", text, bad[0]))
