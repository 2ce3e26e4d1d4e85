"""The end of reading a file: what it broke, and the limits it is read under."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from capstan_ingestion.domain.columns import Refusal

UNNAMED: Final = re.compile(r"Unnamed: \d+|__index_level_\d+__|")
"""Names that mean there is no name: the empty one, and those that pandas writes for an index."""


@dataclass(frozen=True)
class Limits:
    """What a batch may hold at most: columns, and bytes once it is decompressed."""

    max_columns: int
    max_bytes: int


class FileRefused(Exception):
    """The file as a whole cannot be taken."""

    def __init__(self, *refusals: Refusal) -> None:
        super().__init__("; ".join(refusal.sentence for refusal in refusals))
        self.refusals = refusals


def check_header(names: Sequence[str], limits: Limits, ignored: Collection[str] = ()) -> None:
    """Refuse too many, repeated and unusable column names; what is ignored, and what has no name, is no matter here."""
    if len(names) > limits.max_columns:
        sentence = f"the file has {len(names):,} columns; at most {limits.max_columns:,} are taken"
        raise FileRefused(Refusal("too-many-columns", sentence))
    read = [(index, name) for index, name in enumerate(names) if name not in ignored and name]
    twice = sorted(name for name, count in Counter(name for _, name in read).items() if count > 1)
    if twice:
        raise FileRefused(
            *(Refusal("duplicate-columns", f"{name}: two columns have this name", name) for name in twice)
        )
    bad = [index for index, name in read if not name.strip() or len(name) > 200 or not name.isprintable()]
    if bad:
        sentence = f"column {bad[0] + 1} has no usable name (1 to 200 printable characters)"
        raise FileRefused(Refusal("column-names", sentence))


def named(names: Sequence[str]) -> list[str]:
    """The header with a name for each column that has none: `Unnamed: 0` by its place, as pandas would call it."""
    return [name or f"Unnamed: {index}" for index, name in enumerate(names)]


def too_large(size: int, limits: Limits, *, more: bool = False) -> FileRefused:
    """A file that is larger than what is taken, decompressed; `more`: reading stopped at `size`."""
    held = f"more than {size:,}" if more else f"{size:,}"
    sentence = f"decompressed it holds {held} bytes; at most {limits.max_bytes:,} are taken; send smaller parts"
    return FileRefused(Refusal("too-large", sentence))
