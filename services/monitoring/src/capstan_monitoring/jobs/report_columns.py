"""Which columns a report can draw, why it cannot draw the others, and what it shows of those instead."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from capstan_monitoring.jobs.baselines import number

BINS: Final = 10
"""Cells of a histogram in the report; a column whose values have no room for so many cannot be drawn."""
_STYLE: Final = "font-family: sans-serif; margin: 1.5em"


class Side(NamedTuple):
    """A column in the window or in the training set."""

    name: str
    values: Sequence[object]


def why_not(window: Sequence[object] | None, trained: Sequence[object] | None, *, numeric: bool) -> str | None:
    """Why a column cannot be drawn; None where it can."""
    for side in (Side("the window", window or ()), Side("the training set", trained or ())):
        if not _present(side.values):
            return f"it has no value in {side.name}"
        reason = _not_drawn(_numbers(side.values)) if numeric else None
        if reason is not None:
            return f"{reason} in {side.name}"
    return _not_drawn([*_numbers(window or ()), *_numbers(trained or ())]) if numeric else None


def section(
    reasons: Mapping[str, str],
    window: Mapping[str, Sequence[object]],
    trained: Mapping[str, Sequence[object]],
) -> str:
    """HTML: a line for each column that is not drawn, with the reason and what is known of both sides."""
    heads = ("column", "why it is not drawn", "window", "training set")
    lines = [
        (name, reason, _summary(window.get(name, ())), _summary(trained.get(name, ())))
        for name, reason in reasons.items()
    ]
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    table = f"<table border='1' cellpadding='6'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<section id='not-drawn' style='{_STYLE}'><h2>Columns that are not drawn</h2>{table}</section>"


def _not_drawn(numbers: Sequence[float]) -> str | None:
    infinite = sum(math.isinf(value) for value in numbers)
    if infinite:
        return f"{infinite} of its values are infinite"
    low, high = min(numbers, default=0.0), max(numbers, default=0.0)
    if math.isinf(high - low):
        return "its values span more than a number can hold"
    try:
        with np.errstate(all="ignore"):
            np.histogram_bin_edges(np.asarray(numbers, dtype=np.float64), bins=BINS)
    except ValueError:
        return f"between its values, {low!r} to {high!r}, there is no room for {BINS} cells"
    return None


def _numbers(values: Sequence[object]) -> list[float]:
    numbers = (number(value) for value in values)
    return [value for value in numbers if value is not None and value == value]


def _present(values: Sequence[object]) -> list[object]:
    return [value for value in values if value is not None and value == value]


def _summary(values: Sequence[object]) -> str:
    present = _present(values)
    said = f"{len(values)} rows, {len(values) - len(present)} without a value"
    numbers = _numbers(present)
    if len(numbers) == len(present) and numbers:
        said += f", {len(set(numbers))} distinct, {min(numbers)!r} to {max(numbers)!r}"
    return said
