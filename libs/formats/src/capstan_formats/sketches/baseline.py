"""The baseline of a model: one sketch per feature, prediction and label, as the package carries it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from capstan_formats.sketches.category import CategorySketch
from capstan_formats.sketches.numeric import NumericSketch
from capstan_formats.sketches.rules import SketchError, field
from capstan_formats.strict_json import JsonRuleError, read_object, write_json

FORMAT: Final = "capstan.baseline/1"
MAX_COLUMNS = 10_000
AnySketch = NumericSketch | CategorySketch


class Role(StrEnum):
    """What a column is to the model."""

    FEATURE = "feature"
    PREDICTION = "prediction"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class BaselineColumn:
    """One column's role and sketch."""

    role: Role
    sketch: AnySketch


@dataclass(frozen=True, slots=True)
class Baseline:
    """Columns by name. The window to compare with starts as `empty_window()`."""

    columns: Mapping[str, BaselineColumn]

    def __getitem__(self, name: str) -> AnySketch:
        return self.columns[name].sketch

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def of_role(self, role: Role) -> dict[str, AnySketch]:
        """Sketches of the columns in one role, in order of the columns."""
        return {name: column.sketch for name, column in self.columns.items() if column.role is role}

    def empty_window(self) -> Baseline:
        """Same columns and cells, nothing counted."""
        return Baseline({n: BaselineColumn(c.role, c.sketch.empty_like()) for n, c in self.columns.items()})

    def merge(self, other: Baseline) -> Baseline:
        """A new one, merged column by column. SketchError where columns or cells differ."""
        if set(self.columns) != set(other.columns):
            odd = sorted(set(self.columns) ^ set(other.columns))[0]
            raise SketchError(f"column {odd!r} is only in one of the two")
        merged = {}
        for name, column in self.columns.items():
            merged[name] = BaselineColumn(column.role, _merged(name, column.sketch, other[name]))
        return Baseline(merged)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads back."""
        columns = {n: {"role": c.role.value, "sketch": c.sketch.to_json()} for n, c in self.columns.items()}
        return {"format": FORMAT, "columns": columns}

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> Baseline:
        """Checks and reads what `to_json` wrote. SketchError names column and member."""
        if source.get("format") != FORMAT:
            raise SketchError(f"format must be {FORMAT!r}, not {source.get('format')!r}")
        entries = field(source, "columns", dict)
        if len(entries) > MAX_COLUMNS:
            raise SketchError(f"more than {MAX_COLUMNS} columns")
        return cls({name: _column(name, entry) for name, entry in entries.items()})

    def to_bytes(self) -> bytes:
        """Canonical bytes of baseline.json."""
        return write_json(self.to_json())

    @classmethod
    def from_bytes(cls, data: bytes) -> Baseline:
        """Reads baseline.json. SketchError says what is wrong."""
        try:
            return cls.from_json(read_object(data))
        except JsonRuleError as error:
            raise SketchError(str(error)) from None


def sketch_from_json(source: Mapping[str, Any]) -> AnySketch:
    """A sketch of either kind by its `kind` member."""
    kind = source.get("kind")
    if kind == "numeric":
        return NumericSketch.from_json(source)
    if kind == "category":
        return CategorySketch.from_json(source)
    raise SketchError(f"unknown kind of sketch {kind!r}")


def _merged(name: str, left: AnySketch, right: AnySketch) -> AnySketch:
    try:
        if isinstance(left, NumericSketch) and isinstance(right, NumericSketch):
            return left.merge(right)
        if isinstance(left, CategorySketch) and isinstance(right, CategorySketch):
            return left.merge(right)
    except SketchError as error:
        raise SketchError(f"column {name!r}: {error}") from None
    raise SketchError(f"column {name!r}: a numeric and a category sketch cannot be merged")


def _column(name: str, entry: Any) -> BaselineColumn:
    try:
        if not isinstance(entry, Mapping):
            raise SketchError("an object is needed")
        role = field(entry, "role", str)
        if role not in list(Role):
            raise SketchError(f"unknown role {role!r}")
        return BaselineColumn(Role(role), sketch_from_json(field(entry, "sketch", dict)))
    except SketchError as error:
        raise SketchError(f"column {name!r}: {error}") from None
