"""Preprocessing as data: a list of small operations that turns named columns into the float64 matrix of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from capstan_formats import clock_parts
from capstan_formats.cells import INFINITE, as_floats, categories, category, number
from capstan_formats.instants import HOUR_US, NULL_US, BadValueError, instant_us, instants_us

Matrix = npt.NDArray[np.float64]
Columns = Mapping[str, Sequence[Any] | npt.NDArray[Any]]
NAN = math.nan


class PreprocessError(ValueError):
    """A specification or a value breaks a rule; `column` and `row` name the place (row None: not about one row)."""

    def __init__(self, rule: str, column: str | None = None, row: int | None = None) -> None:
        place = "" if column is None else f"column {column!r}" + ("" if row is None else f", row {row}") + ": "
        super().__init__(place + rule)
        self.rule = rule
        self.column = column
        self.row = row


@dataclass(frozen=True, slots=True)
class Operation:
    """One output column: `op` on `column`; vocabulary for `category`, zone for parts of time."""

    op: str
    column: str
    name: str
    vocabulary: tuple[str | int, ...] = ()
    tz: str | None = None

    def to_spec(self) -> dict[str, Any]:
        """The JSON object that `from_spec` reads back."""
        spec: dict[str, Any] = {"op": self.op, "column": self.column, "name": self.name}
        if self.op == "category":
            spec["vocabulary"] = list(self.vocabulary)
        if self.tz is not None:
            spec["tz"] = self.tz
        return spec

    @classmethod
    def from_spec(cls, spec: Any, place: str = "feature") -> Operation:
        """Checks one JSON object; the name defaults to the column, or `<column>_<op>` for parts of time."""
        if not isinstance(spec, Mapping):
            raise PreprocessError(f"{place}: an object is needed")
        op, column = spec.get("op"), spec.get("column")
        if op not in ("numeric", "category", *clock_parts.ONE):
            raise PreprocessError(f"{place}: unknown op {op!r}")
        if not isinstance(column, str) or not column:
            raise PreprocessError(f"{place}: column must be a name")
        name = spec.get("name", f"{column}_{op}" if op in clock_parts.ONE else column)
        if not isinstance(name, str) or not name:
            raise PreprocessError(f"{place}: name must be a non-empty string")
        allowed = {"op", "column", "name"} | ({"vocabulary"} if op == "category" else set())
        unknown = set(spec) - (allowed | {"tz"} if op in clock_parts.ONE else allowed)
        if unknown:
            raise PreprocessError(f"{place}: {op} takes no {sorted(map(str, unknown))[0]!r}")
        words = _vocabulary(spec.get("vocabulary"), place) if op == "category" else ()
        return cls(op, column, name, words, _zone_name(spec.get("tz"), place))


class Preprocessor:
    """A checked list of operations in column order, with one path for one row and one for many."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.operations = tuple(operations)
        self.columns = [operation.name for operation in self.operations]
        repeated = {name for name in self.columns if self.columns.count(name) > 1}
        if repeated:
            raise PreprocessError(f"output column {sorted(repeated)[0]!r} is made twice")
        #: The columns that `transform` reads.
        self.inputs = list(dict.fromkeys(operation.column for operation in self.operations))
        self._cells: list[tuple[int, str, Callable[[Any], float]]] = []
        self._codes: dict[int, dict[Any, float]] = {}
        clocks: dict[tuple[str, str | None], list[tuple[int, str]]] = {}
        for index, operation in enumerate(self.operations):
            if operation.op == "numeric":
                self._cells.append((index, operation.column, number))
            elif operation.op == "category":
                codes = {word: float(code) for code, word in enumerate(operation.vocabulary)}
                self._codes[index] = codes
                self._cells.append((index, operation.column, category(codes)))
            else:
                clocks.setdefault((operation.column, operation.tz), []).append((index, operation.op))
        self._clocks = [
            (column, ZoneInfo(tz) if tz else None, [(index, clock_parts.ONE[op], op) for index, op in parts])
            for (column, tz), parts in clocks.items()
        ]

    @classmethod
    def from_spec(cls, spec: Sequence[Mapping[str, Any]]) -> Preprocessor:
        """From the `features` list of a model manifest. PreprocessError names the entry."""
        if not isinstance(spec, (list, tuple)):
            raise PreprocessError("features must be a list")
        return cls([Operation.from_spec(entry, f"features[{index}]") for index, entry in enumerate(spec)])

    def to_spec(self) -> list[dict[str, Any]]:
        """The list that `from_spec` reads back."""
        return [operation.to_spec() for operation in self.operations]

    def transform(self, columns: Columns, rows: int) -> Matrix:
        """float64 [rows, len(self.columns)], NaN where null or unknown. PreprocessError names column and row."""
        for column in self.inputs:
            if column not in columns:
                raise PreprocessError("the column is missing", column)
            if len(columns[column]) != rows:
                raise PreprocessError(f"{len(columns[column])} values for {rows} rows", column)
        if rows == 1:
            return np.array([self._one_row(columns)], dtype=np.float64)
        return self._many_rows(columns, rows)

    def _one_row(self, columns: Columns) -> list[float]:
        row = [NAN] * len(self.columns)
        column = ""
        try:
            for index, column, cell in self._cells:
                row[index] = cell(columns[column][0])
            for column, zone, parts in self._clocks:
                us = instant_us(columns[column][0])
                if us is not None:
                    moment: datetime = clock_parts.local_datetime(us, zone)
                    for index, part, _ in parts:
                        row[index] = part(moment)
        except BadValueError as error:
            raise PreprocessError(error.rule, column, 0) from None
        return row

    def _many_rows(self, columns: Columns, rows: int) -> Matrix:
        matrix = np.empty((rows, len(self.columns)), dtype=np.float64)
        column = ""
        try:
            for index, column, _ in self._cells:
                codes = self._codes.get(index)
                values = columns[column]
                matrix[:, index] = as_floats(values) if codes is None else categories(values, codes)
            for column, zone, parts in self._clocks:
                us = instants_us(columns[column])
                local = clock_parts.local_us(us, zone)
                for index, _, op in parts:
                    matrix[:, index] = np.where(us == NULL_US, NAN, clock_parts.MANY[op](local))
        except BadValueError as error:
            raise PreprocessError(error.rule, column, error.row) from None
        self._refuse_infinite(matrix)
        return matrix

    def _refuse_infinite(self, matrix: Matrix) -> None:
        """All columns at once: a check per column would cost as much as the column."""
        infinite = np.isinf(matrix)
        if infinite.any():
            index = int(infinite.any(axis=0).argmax())
            raise PreprocessError(INFINITE, self.operations[index].column, int(infinite[:, index].argmax()))


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a lookup key comes from: a request column as it is, or its timestamp floored to the hour (UTC)."""

    column: str
    op: str | None = None

    @classmethod
    def from_spec(cls, spec: Any, place: str = "key") -> KeySource:
        """A column name, or {"op": "floor_hour", "column": name}."""
        if isinstance(spec, str) and spec:
            return cls(spec)
        if isinstance(spec, Mapping) and set(spec) == {"op", "column"} and isinstance(spec["column"], str):
            if spec["op"] != "floor_hour" or not spec["column"]:
                raise PreprocessError(f"{place}: unknown op {spec['op']!r}")
            return cls(spec["column"], "floor_hour")
        raise PreprocessError(f'{place}: a column name or {{"op": "floor_hour", "column": name}} is needed')

    def to_spec(self) -> str | dict[str, str]:
        """What `from_spec` reads back."""
        return self.column if self.op is None else {"op": self.op, "column": self.column}

    def derive(self, columns: Columns) -> list[Any]:
        """One key value per row: as given, or epoch microseconds of the full hour; None stays None."""
        if self.column not in columns:
            raise PreprocessError("the column is missing", self.column)
        values = columns[self.column]
        if self.op is None:
            return values.tolist() if isinstance(values, np.ndarray) else list(values)
        try:
            moments = instants_us(values).tolist()
        except BadValueError as error:
            raise PreprocessError(error.rule, self.column, error.row) from None
        return [None if us == NULL_US else us - us % HOUR_US for us in moments]


def _vocabulary(words: Any, place: str) -> tuple[str | int, ...]:
    if not isinstance(words, Sequence) or isinstance(words, str):
        raise PreprocessError(f"{place}: category needs a vocabulary list")
    kinds = {type(word) for word in words}
    if not kinds <= {str} and not kinds <= {int}:
        raise PreprocessError(f"{place}: a vocabulary is all strings or all integers")
    if len(set(words)) != len(words):
        raise PreprocessError(f"{place}: the vocabulary repeats a word")
    return tuple(words)


def _zone_name(tz: Any, place: str) -> str | None:
    if tz is None:
        return None
    try:
        return ZoneInfo(tz).key
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise PreprocessError(f"{place}: unknown time zone {tz!r}") from None
