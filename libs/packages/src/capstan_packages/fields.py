"""The members of model.json: their types, and how each is read from JSON and checked on its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from capstan_formats.preprocess import KeySource, PreprocessError
from capstan_formats.strict_json import need
from capstan_packages.errors import HeaderError
from capstan_packages.signature import DTYPES, REQUEST, DType, InputField, OutputField, Signature

MAX_FIELDS = 10_000
MAX_WIDTH: Final = 100_000

_VIEW = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
T = TypeVar("T")


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


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package that this one needs: the role it has in it, its kind, and its digest (sha256 in hex)."""

    role: str
    kind: str
    package: str


def read_entries(source: Mapping[str, Any], key: str, read: Callable[[dict[str, Any], str], T]) -> tuple[T, ...]:
    """A list of objects, each read by `read`, which is told its place."""
    entries = need(source, key, list)
    if len(entries) > MAX_FIELDS:
        raise HeaderError(f"{key} has more than {MAX_FIELDS} entries")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise HeaderError(f"{key}[{index}] must be an object")
    return tuple(read(entry, f"{key}[{index}]") for index, entry in enumerate(entries))


def read_signature(source: dict[str, Any]) -> Signature:
    """The member `signature`; names within inputs and within outputs differ."""
    signature = Signature(read_entries(source, "inputs", read_input), read_entries(source, "outputs", read_output))
    refuse_repeated("inputs", [field.name for field in signature.inputs])
    refuse_repeated("outputs", [field.name for field in signature.outputs])
    return signature


def signature_json(signature: Signature) -> dict[str, Any]:
    """The JSON object that `read_signature` reads back."""
    return {
        "inputs": [{"name": field.name, "dtype": field.dtype, "source": field.source} for field in signature.inputs],
        "outputs": [{"name": field.name, "dtype": field.dtype, "width": field.width} for field in signature.outputs],
    }


def read_input(entry: dict[str, Any], place: str) -> InputField:
    """One entry of `signature.inputs`."""
    source = need(entry, "source", str, place)
    if not _VIEW.fullmatch(source):
        raise HeaderError(f"{place}.source must be {REQUEST!r} or the name of a view")
    return InputField(text(entry, "name", place), _dtype(entry, place), source)


def read_output(entry: dict[str, Any], place: str) -> OutputField:
    """One entry of `signature.outputs`."""
    width = need(entry, "width", int, place)
    if not 1 <= width <= MAX_WIDTH:
        raise HeaderError(f"{place}.width must be from 1 to {MAX_WIDTH}")
    return OutputField(text(entry, "name", place), _dtype(entry, place), width)


def read_lookup(entry: dict[str, Any], place: str) -> EntityLookup:
    """One entry of `lookups`."""
    view = need(entry, "view", str, place)
    if not _VIEW.fullmatch(view) or view == REQUEST:
        raise HeaderError(f"{place}.view is not the name of a view")
    version = need(entry, "version", (str, type(None)), place)
    if version is not None and not _HEX64.fullmatch(version):
        raise HeaderError(f"{place}.version must be a sha256 in hex, or null")
    columns = need(entry, "columns", list, place)
    if not all(isinstance(column, str) for column in columns):
        raise HeaderError(f"{place}.columns must be strings")
    keys: dict[str, KeySource] = {}
    for key, source in need(entry, "keys", dict, place).items():
        try:
            keys[key] = KeySource.from_spec(source, f"{place}.keys.{key}")
        except PreprocessError as error:
            raise HeaderError(str(error)) from None
    if not keys:
        raise HeaderError(f"{place}.keys must not be empty")
    ttl = need(entry, "ttl_s", (int, type(None)), place)
    if ttl is not None and ttl <= 0:
        raise HeaderError(f"{place}.ttl_s must be above 0, or null")
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


def read_requirement(entry: dict[str, Any], place: str) -> Requirement:
    """One entry of `requires`."""
    requirement = Requirement(*(need(entry, key, str, place) for key in ("role", "kind", "package")))
    if not _WORD.fullmatch(requirement.role) or not _WORD.fullmatch(requirement.kind):
        raise HeaderError(f"{place}: role and kind must be words of small letters, digits, - and _")
    if not _HEX64.fullmatch(requirement.package):
        raise HeaderError(f"{place}.package must be the sha256 of a package in hex")
    return requirement


def read_pins(source: dict[str, Any]) -> Pins:
    """The member `pins`."""
    views = need(source, "feature_views", dict, "pins")
    if not all(isinstance(version, str) for version in views.values()):
        raise HeaderError("pins.feature_views must map views to versions")
    return Pins(
        dataset_version=text(source, "dataset_version", "pins"),
        feature_views=views,
        code_digest=text(source, "code_digest", "pins"),
        parameters=need(source, "parameters", dict, "pins"),
        seed=need(source, "seed", int, "pins"),
    )


def read_metrics(source: dict[str, Any]) -> Metrics:
    """The member `metrics`."""
    overall, slices = need(source, "overall", dict, "metrics"), need(source, "slices", dict, "metrics")
    return Metrics(
        cast(dict[str, float | None], _tree(overall, 1, "overall")), cast(dict[str, Any], _tree(slices, 3, "slices"))
    )


def _tree(value: Any, depth: int, place: str) -> Any:
    """Objects nested `depth` deep with numbers (or null) as leaves."""
    if depth == 0:
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return value
        raise HeaderError(f"metrics.{place} must be a number or null")
    if not isinstance(value, dict):
        raise HeaderError(f"metrics.{place} must be an object")
    return {key: _tree(child, depth - 1, f"{place}.{key}") for key, child in value.items()}


def text(entry: Mapping[str, Any], key: str, place: str = "") -> str:
    """A string of 1 to 256 characters."""
    value: str = need(entry, key, str, place)
    if not value or len(value) > 256:
        raise HeaderError(f"{place}.{key}".lstrip(".") + " must be 1 to 256 characters")
    return value


def refuse_repeated(member: str, names: list[str]) -> None:
    """HeaderError that names what appears twice."""
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise HeaderError(f"{member}: {repeated!r} appears twice")


def _dtype(entry: Mapping[str, Any], place: str) -> DType:
    dtype = need(entry, "dtype", str, place)
    if dtype not in DTYPES:
        raise HeaderError(f"{place}.dtype must be one of {', '.join(DTYPES)}")
    return cast(DType, dtype)
