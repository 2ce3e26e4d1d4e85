"""The schema of a dataset: what its versions hold, changed by what the dataset declares; and which types may widen.

It is inferred from the first file; later files are read as it and decide nothing any more. Whoever wants another type
declares it under `columns`: where that holds every value of the old one, the files that are there are written again in
it with the next commit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

_DECIMAL: Final = re.compile(r"decimal\((\d+),(\d+)\)")
_WHOLE_DIGITS: Final = 19
"""Digits of the largest 64-bit integer."""

_WIDER: Final = {
    ("int64", "float64"), ("int64", "string"), ("bool", "int64"), ("bool", "float64"), ("date", "timestamp"),
}  # fmt: skip
_MEETS: Final = {
    # pandas turns integers with nulls into floats, and booleans with nulls into objects or floats
    ("bool", "decimal"), ("float64", "int64"), ("int64", "bool"), ("float64", "bool"), ("float64", "string"),
    ("int64", "decimal"), ("float64", "decimal"), ("decimal", "float64"), ("decimal", "int64"), ("decimal", "decimal"),
}  # fmt: skip


def widens(old: str, new: str) -> bool:
    """Whether a column may become `new` for all files: each value of `old` is one of it (exactness is checked)."""
    if old in ("null", new) or (old, new) in _WIDER:
        return True
    before, after = _DECIMAL.fullmatch(old), _DECIMAL.fullmatch(new)
    if after is None:
        return before is not None and new == "float64"
    whole = int(after[1]) - int(after[2])
    if before is None:
        return old == "int64" and whole >= _WHOLE_DIGITS
    return int(after[2]) >= int(before[2]) and whole >= int(before[1]) - int(before[2])


def meets(in_file: str, wanted: str) -> bool:
    """Whether a file's column may be read as the schema's, where every single value can."""
    return in_file in ("null", wanted) or (in_file, wanted) in _WIDER or (_plain(in_file), _plain(wanted)) in _MEETS


def wanted_types(held: Mapping[str, str], declared: Mapping[str, str]) -> dict[str, str]:
    """The types that a file is read as: what the versions hold, widened where the dataset declares it.

    `held` is empty before the first commit. A declaration that does not widen is not followed: it is a contradiction.
    """
    types = {name: declared[name] if name in declared and widens(old, declared[name]) else old
             for name, old in held.items()}  # fmt: skip
    return types | {name: type_ for name, type_ in declared.items() if name not in held}


def contradictions(held: Mapping[str, str], declared: Mapping[str, str]) -> dict[str, str]:
    """Columns that are declared as what their files cannot become, with a sentence each."""
    return {
        name: f"{name}: is declared {wanted}, and the dataset's files have {held[name]}, which does not become "
        f"{wanted} without loss; declare {_advice(held[name])}, or start a new dataset"
        for name, wanted in declared.items()
        if name in held and not widens(held[name], wanted)
    }


def joined(
    held: Mapping[str, str], in_file: Mapping[str, str], optional: Callable[[str], bool]
) -> dict[str, str] | None:
    """The columns of a version after a file with `in_file` columns joins others with `held` ones: ours, then new ones.

    None when the file was checked under another schema: it lacks a column that is not `optional`, has another type, or
    one whose name differs from one of ours by case alone.
    """
    for name, type_ in held.items():
        if name not in in_file and not optional(name):
            return None
        if name in in_file and not widens(type_, in_file[name]):
            return None
    columns = {name: in_file.get(name, type_) for name, type_ in held.items()} | dict(in_file)
    return columns if len({name.lower() for name in columns}) == len(columns) else None


def _advice(old: str) -> str:
    wider = {
        "int64": "int64, float64, decimal(19,0) or wider, or string",
        "bool": "bool, int64 or float64",
        "date": "date or timestamp",
    }
    return wider.get(old, f"{old}, float64 or a wider decimal" if _DECIMAL.fullmatch(old) else old)


def _plain(type_: str) -> str:
    return type_.partition("(")[0]
