"""The members of model.json: their types, and how each is read from JSON and checked on its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, cast, get_args

from capstan_formats.preprocess import KeySource, PreprocessError
from capstan_formats.strict_json import need

DType = Literal["float64", "int64", "string", "timestamp"]
DTYPES: Final = get_args(DType)
MAX_FIELDS = 10_000
REQUEST: Final = "request"

_VIEW = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_HEX64 = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T")


class ManifestError(ValueError):
    """model.json breaks a rule; the message names the member."""


@dataclass(frozen=True, slots=True)
class InputField:
    """A column the model reads; source is "request" or the name of the view that it is looked up in."""

    name: str
    dtype: DType
    source: str = REQUEST


@dataclass(frozen=True, slots=True)
class OutputField:
    """A column the model answers."""

    name: str
    dtype: DType


@dataclass(frozen=True, slots=True)
class EntityLookup:
    """One read of a feature view; the store knows the order of the keys; ttl in seconds of event time."""

    view: str
    version: str | None
    keys: Mapping[str, KeySource]
    columns: tuple[str, ...]
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Metrics:
    """Training's own figures: overall by metric; slices as column -> value -> metric. None: could not be computed."""

    overall: Mapping[str, float | None]
    slices: Mapping[str, Mapping[str, Mapping[str, float | None]]]


@dataclass(frozen=True, slots=True)
class Pins:
    """Everything that went in: the same pins give the same package."""

    dataset_version: str
    feature_views: Mapping[str, str]
    code_digest: str
    parameters: Mapping[str, Any]
    seed: int


def read_entries(source: Mapping[str, Any], key: str, read: Callable[[dict[str, Any], str], T]) -> tuple[T, ...]:
    """A list of objects, each read by `read`, which is told its place."""
    entries = need(source, key, list)
    if len(entries) > MAX_FIELDS:
        raise ManifestError(f"{key} has more than {MAX_FIELDS} entries")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ManifestError(f"{key}[{index}] must be an object")
    return tuple(read(entry, f"{key}[{index}]") for index, entry in enumerate(entries))


def read_input(entry: dict[str, Any], place: str) -> InputField:
    """One entry of `inputs`."""
    source = need(entry, "source", str, place)
    if not _VIEW.fullmatch(source):
        raise ManifestError(f"{place}.source must be {REQUEST!r} or the name of a view")
    return InputField(_text(entry, "name", place), _dtype(entry, place), source)


def read_output(entry: dict[str, Any], place: str) -> OutputField:
    """One entry of `outputs`."""
    return OutputField(_text(entry, "name", place), _dtype(entry, place))


def read_lookup(entry: dict[str, Any], place: str) -> EntityLookup:
    """One entry of `lookups`."""
    view = need(entry, "view", str, place)
    if not _VIEW.fullmatch(view) or view == REQUEST:
        raise ManifestError(f"{place}.view is not the name of a view")
    version = need(entry, "version", (str, type(None)), place)
    if version is not None and not _HEX64.fullmatch(version):
        raise ManifestError(f"{place}.version must be a sha256 in hex, or null")
    columns = need(entry, "columns", list, place)
    if not all(isinstance(column, str) for column in columns):
        raise ManifestError(f"{place}.columns must be strings")
    keys: dict[str, KeySource] = {}
    for key, source in need(entry, "keys", dict, place).items():
        try:
            keys[key] = KeySource.from_spec(source, f"{place}.keys.{key}")
        except PreprocessError as error:
            raise ManifestError(str(error)) from None
    if not keys:
        raise ManifestError(f"{place}.keys must not be empty")
    ttl = need(entry, "ttl_s", (int, type(None)), place)
    if ttl is not None and ttl <= 0:
        raise ManifestError(f"{place}.ttl_s must be above 0, or null")
    return EntityLookup(view, version, keys, tuple(columns), ttl)


def lookup_json(lookup: EntityLookup) -> dict[str, Any]:
    """The JSON object that `read_lookup` reads back."""
    return {
        "view": lookup.view,
        "version": lookup.version,
        "keys": {key: source.to_spec() for key, source in lookup.keys.items()},
        "columns": list(lookup.columns),
        "ttl_s": lookup.ttl_s,
    }


def read_pins(source: dict[str, Any]) -> Pins:
    """The member `pins`."""
    views = need(source, "feature_views", dict, "pins")
    if not all(isinstance(version, str) for version in views.values()):
        raise ManifestError("pins.feature_views must map views to versions")
    return Pins(
        dataset_version=_text(source, "dataset_version", "pins"),
        feature_views=views,
        code_digest=_text(source, "code_digest", "pins"),
        parameters=need(source, "parameters", dict, "pins"),
        seed=need(source, "seed", int, "pins"),
    )


def read_tree(value: Any, depth: int, place: str) -> Any:
    """Objects nested `depth` deep with numbers (or null) as leaves."""
    if depth == 0:
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return value
        raise ManifestError(f"metrics.{place} must be a number or null")
    if not isinstance(value, dict):
        raise ManifestError(f"metrics.{place} must be an object")
    return {key: read_tree(child, depth - 1, f"{place}.{key}") for key, child in value.items()}


def _text(entry: Mapping[str, Any], key: str, place: str) -> str:
    value: str = need(entry, key, str, place)
    if not value or len(value) > 256:
        raise ManifestError(f"{place}.{key} must be 1 to 256 characters")
    return value


def _dtype(entry: Mapping[str, Any], place: str) -> DType:
    dtype = need(entry, "dtype", str, place)
    if dtype not in DTYPES:
        raise ManifestError(f"{place}.dtype must be one of {', '.join(DTYPES)}")
    return cast(DType, dtype)
