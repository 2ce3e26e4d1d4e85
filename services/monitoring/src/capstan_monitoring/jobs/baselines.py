"""Baselines out of packages, and how a logged row fills the columns of one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from capstan_formats.sketches import Baseline, BaselineColumn, CategorySketch, NumericSketch, Role, SketchError
from capstan_monitoring.domain.columns import find
from capstan_packages.errors import PackageError
from capstan_packages.reader import read_package
from capstan_servicekit.jobs.api import JobRefused

SECTIONS = ("inputs", "looked_up", "features")
ABSENT = object()
"""The log does not hold the column: nothing is counted, not even a null."""


@lru_cache(maxsize=4)
def baseline_of(path: str) -> Baseline:
    """The baseline of the package at `path`, without labels: they are in no log. JobRefused names the broken rule."""
    try:
        baseline = read_package(Path(path)).baseline
    except (PackageError, OSError) as error:
        raise JobRefused(f"the package cannot be read: {error}", errors=[("package", str(error))]) from error
    if baseline is None:
        raise JobRefused("the package has no baseline to compare with", errors=[("package", "baseline is false")])
    return Baseline({name: column for name, column in baseline.columns.items() if column.role is not Role.LABEL})


class RowReader:
    """Reads a baseline's columns out of logged rows; where a column lies is looked up once."""

    def __init__(self, baseline: Baseline) -> None:
        self._columns = baseline.columns
        self._places: dict[str, tuple[str, str]] = {}

    def value(self, row: Mapping[str, Any], name: str) -> Any:
        """The column's value in a row, or ABSENT. Inputs come first, then looked-up values, then the model's matrix."""
        column = self._columns[name]
        if column.role is Role.PREDICTION:
            return row.get("prediction")
        section, key = self._places.get(name) or self._find(row, name, column)
        cells = row.get(section) or {}
        if key in cells:
            return cells[key]
        self._places.pop(name, None)
        section, key = self._find(row, name, column)
        return row[section][key] if section else ABSENT

    def _find(self, row: Mapping[str, Any], name: str, column: BaselineColumn) -> tuple[str, str]:
        # The matrix holds codes where the sketch counts words.
        sections = SECTIONS if isinstance(column.sketch, NumericSketch) else SECTIONS[:2]
        for section in sections:
            if (key := find(name, row.get(section) or {})) is not None:
                self._places[name] = (section, key)
                return section, key
        return "", ""


def count(sketch: NumericSketch | CategorySketch, values: list[Any]) -> None:
    """Count values; what the sketch cannot take is a null: a log line of the wrong type must not stop the rest."""
    try:
        sketch.update(values)
    except SketchError:
        sketch.update([_fitting(sketch, value) for value in values])


def number(value: Any) -> float | None:
    """A number of any size or kind as a float, infinite where it is too large for one; None for anything else."""
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _fitting(sketch: NumericSketch | CategorySketch, value: Any) -> Any:
    if isinstance(sketch, NumericSketch):
        return number(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int | bool) else None
