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
    same_but_for_case,
)
from capstan_ingestion.domain.contract import Severity
from capstan_ingestion.domain.file_refused import UNNAMED, FileRefused
from capstan_ingestion.domain.schema import wanted_types
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
    known = {name: type_ for name, type_ in wanted_types(earlier, dataset.columns).items() if type_ != "null"}
    known |= dict.fromkeys(clocks_of(dataset), "timestamp")
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
        notes.append(note("index-column", name, text, "info"))
    return table.drop_columns(left_out) if left_out else table, notes


def note(rule: str, column: str, text: str, severity: Severity) -> Finding:
    """What is said of a column and blocks nothing."""
    return Finding(
        CheckResult(
            key=f"{column}:{rule}",
            expectation=f"capstan:{rule}",
            column=column,
            severity=severity,
            outcome="failed",
            sentence=text,
        )
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


def in_order(
    table: pa.Table, dataset: DatasetSpec, required: Collection[str], earlier: Mapping[str, str]
) -> tuple[pa.Table, list[Finding]]:
    """The table with the columns of the earlier files in their order, then its new ones, and a note for each change.

    A column that the file does not have is null, unless something needs it: that is said by `check_columns`.
    """
    if not earlier:
        return table, []
    notes = []
    file_name = {ours: theirs for theirs, ours in dataset.rename.items()}
    new = [name for name in table.column_names if name not in earlier]
    for name, type_ in earlier.items():
        if name in table.column_names or name in required:
            continue
        table = table.append_column(name, pa.nulls(table.num_rows))
        if file_name.get(name, name) not in dataset.ignore and type_ != "null":
            text = f"{name}: the file has no such column, other files do; its rows have null there; declare it under"
            notes.append(note("missing-column", name, f"{text} `columns` to make it required", "warning"))
    for name in new:
        text = f"{name}: the dataset's other files have no such column; their rows have null there; `ignore` leaves it"
        notes.append(note("new-column", name, f"{text} out", "warning"))
    return table.select([name for name in (*earlier, *new) if name in table.column_names]), notes


def columns_kept(columns: Mapping[str, str], earlier: Mapping[str, str]) -> dict[str, str]:
    """The columns as the manifest keeps them: one without a value in this file has the type of the earlier files."""
    return {name: earlier.get(name, type_) if type_ == "null" else type_ for name, type_ in columns.items()}


def check_columns(
    names: Sequence[str], dataset: DatasetSpec, required: Mapping[str, str], earlier: Mapping[str, str]
) -> None:
    """FileRefused with every column that is needed and missing, declared as another type, or not to be told apart."""
    refusals = [
        *missing_columns(names, required),
        *changed_declarations(dataset.columns, earlier),
        *same_but_for_case(list(dict.fromkeys([*earlier, *names]))),
    ]
    if refusals:
        raise FileRefused(*refusals)


def check_keys(columns: Mapping[str, str], keys: Sequence[str]) -> None:
    """FileRefused for a key that rows cannot be told apart by."""
    bad = [key for key in keys if "<" in columns[key]]
    if bad:
        text = f"{bad[0]}: is {columns[bad[0]]}, and it is a key; a key is one value: text, number, bool or instant"
        raise FileRefused(Refusal("key-type", text, bad[0]))
