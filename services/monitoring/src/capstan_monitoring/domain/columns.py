"""Which entry of a logged row, or which column of a training set, a column of the baseline is."""

from __future__ import annotations

from collections.abc import Collection

SEPARATOR = "__"
"""Between view and column in a training set: `weather__temp`."""


def find(name: str, names: Collection[str]) -> str | None:
    """`name` itself, else the one that differs by a view's prefix only; None when there is none, or more than one."""
    if name in names:
        return name
    if SEPARATOR in name:
        tail = name.split(SEPARATOR, 1)[1]
        return tail if tail in names else None
    tailed = [full for full in names if full.split(SEPARATOR, 1)[1:] == [name]]
    return tailed[0] if len(tailed) == 1 else None
