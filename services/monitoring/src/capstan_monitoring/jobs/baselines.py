"""Baselines out of packages, and which columns of a log record fill one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from capstan_formats.record_columns import Column, Values
from capstan_formats.record_schema import FEATURES, ColumnPath, RecordSchema
from capstan_formats.records import PredictionRecord
from capstan_formats.sketches import Baseline, BaselineColumn, CategorySketch, NumericSketch, Role, SketchError
from capstan_monitoring.domain.columns import find
from capstan_packages.errors import PackageError
from capstan_packages.kinds.model import ModelHeader
from capstan_packages.reader import read_package
from capstan_servicekit.jobs.api import JobRefused

SECTIONS = ("inputs", "looked_up")
MONITORED = "prediction"
"""The output whose values are compared with labels, and with the baseline's prediction where no output has its name."""


class Watched(NamedTuple):
    """What a package says of the columns that a log holds: the baseline without labels, which are in no log.

    `views`: column of the baseline -> the view that it is looked up in.
    """

    baseline: Baseline
    views: Mapping[str, str]


@lru_cache(maxsize=4)
def watched_of(path: str) -> Watched:
    """Of the package at `path`, read once. JobRefused names the broken rule."""
    try:
        package = read_package(Path(path))
    except (PackageError, OSError) as error:
        raise JobRefused(f"the package cannot be read: {error}", errors=[("package", str(error))]) from error
    if package.baseline is None:
        raise JobRefused("the package has no baseline to compare with", errors=[("package", "baseline is false")])
    columns = package.baseline.columns.items()
    baseline = Baseline({name: column for name, column in columns if column.role is not Role.LABEL})
    views: dict[str, str] = {}
    for lookup in package.header.lookups if isinstance(package.header, ModelHeader) else ():
        views |= {name: lookup.view for name in baseline if find(name, lookup.columns) is not None}
    return Watched(baseline, views)


class ColumnReader:
    """Finds a baseline's columns in log records; where a column lies is looked up once per schema."""

    def __init__(self, baseline: Baseline) -> None:
        self._columns = baseline.columns
        self._places: dict[tuple[ColumnPath, ...], dict[str, ColumnPath | int | None]] = {}

    def column(self, record: PredictionRecord, name: str) -> Column | None:
        """One value per row, or None where the log does not hold the column: nothing is counted, not even a null.

        Inputs come first, then looked-up values, then the model's matrix.
        """
        schema = record.schema
        places = self._places.get(schema.columns)
        if places is None:
            places = {wanted: self._find(schema, wanted, column) for wanted, column in self._columns.items()}
            self._places[schema.columns] = places
        place = places[name]
        if isinstance(place, int):
            matrix = record.columns[FEATURES,].values
            return Column(matrix[:, place]) if isinstance(matrix, np.ndarray) else None
        return None if place is None else record.columns[place]

    def _find(self, schema: RecordSchema, name: str, column: BaselineColumn) -> ColumnPath | int | None:
        if column.role is Role.PREDICTION:
            outputs = [path for path in (("outputs", name), ("outputs", MONITORED)) if path in schema.columns]
            return outputs[0] if outputs else None
        for section in SECTIONS:
            names = [path[1] for path in schema.columns if path[0] == section]
            if (key := find(name, names)) is not None:
                return section, key
        # The matrix holds codes where the sketch counts words.
        if (FEATURES,) in schema.columns and isinstance(column.sketch, NumericSketch):
            key = find(name, schema.features)
            return None if key is None else schema.features.index(key)
        return None


def count(sketch: NumericSketch | CategorySketch, values: Values) -> None:
    """Count values; what the sketch cannot take is a null: a log line of the wrong type must not stop the rest."""
    try:
        sketch.update(values)
    except SketchError:
        sketch.update([_fitting(sketch, value) for value in values])


def number(value: object) -> float | None:
    """A number of any size or kind as a float, infinite where it is too large for one; None for anything else."""
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _fitting(sketch: NumericSketch | CategorySketch, value: object) -> object:
    if isinstance(sketch, NumericSketch):
        return number(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int | bool) else None
