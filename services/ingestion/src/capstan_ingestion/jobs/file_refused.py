"""The end of reading a file: what it broke, and the limits it is read under."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from capstan_ingestion.domain.columns import Refusal


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


def check_header(names: Sequence[str], limits: Limits) -> None:
    """Refuse too many, repeated and empty column names."""
    if len(names) > limits.max_columns:
        sentence = f"the file has {len(names):,} columns; at most {limits.max_columns:,} are taken"
        raise FileRefused(Refusal("too-many-columns", sentence))
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise FileRefused(
            *(Refusal("duplicate-columns", f"{name}: two columns have this name", name) for name in twice)
        )
    bad = [index for index, name in enumerate(names) if not name.strip() or len(name) > 200 or not name.isprintable()]
    if bad:
        sentence = f"column {bad[0] + 1} has no usable name (1 to 200 printable characters)"
        raise FileRefused(Refusal("column-names", sentence))
