"""model.json of a package: what the model reads and answers, how its row is made, and what it was made from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from capstan_formats.manifest_fields import (
    REQUEST,
    DType,
    EntityLookup,
    InputField,
    ManifestError,
    Metrics,
    OutputField,
    Pins,
    lookup_json,
    read_entries,
    read_input,
    read_lookup,
    read_output,
    read_pins,
    read_tree,
)
from capstan_formats.preprocess import PreprocessError, Preprocessor
from capstan_formats.strict_json import JsonRuleError, need, read_object, write_json

__all__ = [
    "FORMAT",
    "REQUEST",
    "DType",
    "EntityLookup",
    "InputField",
    "ManifestError",
    "Metrics",
    "ModelManifest",
    "OutputField",
    "Pins",
]

FORMAT: Final = "capstan.model/1"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """model.json, checked as a whole: every feature and key column is declared, every view input is looked up."""

    name: str
    inputs: tuple[InputField, ...]
    outputs: tuple[OutputField, ...]
    features: tuple[Mapping[str, Any], ...]
    lookups: tuple[EntityLookup, ...]
    label: str
    metrics: Metrics
    pins: Pins
    license: str
    kind: str = "model"
    engine: str = "lightgbm"
    task: str = "binary"

    def __post_init__(self) -> None:
        _check_whole(self)

    def preprocessor(self) -> Preprocessor:
        """The operations of `features`, ready to run."""
        return Preprocessor.from_spec(self.features)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads back."""
        return {
            "format": FORMAT,
            "kind": self.kind,
            "engine": self.engine,
            "name": self.name,
            "task": self.task,
            "inputs": [{"name": f.name, "dtype": f.dtype, "source": f.source} for f in self.inputs],
            "outputs": [{"name": f.name, "dtype": f.dtype} for f in self.outputs],
            "features": [dict(entry) for entry in self.features],
            "lookups": [lookup_json(lookup) for lookup in self.lookups],
            "label": self.label,
            "metrics": {"overall": self.metrics.overall, "slices": self.metrics.slices},
            "pins": {
                "dataset_version": self.pins.dataset_version,
                "feature_views": self.pins.feature_views,
                "code_digest": self.pins.code_digest,
                "parameters": self.pins.parameters,
                "seed": self.pins.seed,
            },
            "license": self.license,
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> ModelManifest:
        """Checks and reads what `to_json` wrote. ManifestError names the member."""
        try:
            if source.get("format") != FORMAT:
                raise ManifestError(f"format must be {FORMAT!r}, not {source.get('format')!r}")
            metrics = need(source, "metrics", dict)
            return cls(
                name=need(source, "name", str),
                inputs=read_entries(source, "inputs", read_input),
                outputs=read_entries(source, "outputs", read_output),
                features=read_entries(source, "features", lambda entry, place: entry),
                lookups=read_entries(source, "lookups", read_lookup),
                label=need(source, "label", str),
                metrics=Metrics(
                    cast(dict[str, float | None], read_tree(need(metrics, "overall", dict, "metrics"), 1, "overall")),
                    cast(dict[str, Any], read_tree(need(metrics, "slices", dict, "metrics"), 3, "slices")),
                ),
                pins=read_pins(need(source, "pins", dict)),
                license=need(source, "license", str),
                kind=need(source, "kind", str),
                engine=need(source, "engine", str),
                task=need(source, "task", str),
            )
        except JsonRuleError as error:
            raise ManifestError(str(error)) from None

    def to_bytes(self) -> bytes:
        """Canonical bytes of model.json. ManifestError for a value that JSON cannot hold."""
        try:
            return write_json(self.to_json())
        except JsonRuleError as error:
            raise ManifestError(str(error)) from None

    @classmethod
    def from_bytes(cls, data: bytes) -> ModelManifest:
        """Reads model.json. ManifestError says what is wrong."""
        try:
            return cls.from_json(read_object(data))
        except JsonRuleError as error:
            raise ManifestError(str(error)) from None


def _check_whole(manifest: ModelManifest) -> None:
    expect = {"kind": "model", "engine": "lightgbm", "task": "binary"}
    for member, only in expect.items():
        if getattr(manifest, member) != only:
            raise ManifestError(f"{member} must be {only!r}, not {getattr(manifest, member)!r}")
    if not _NAME.fullmatch(manifest.name):
        raise ManifestError("name must be a DNS label")
    if not manifest.inputs or not manifest.outputs or not manifest.features:
        raise ManifestError("inputs, outputs and features must not be empty")
    _unique("inputs", [f.name for f in manifest.inputs])
    _unique("outputs", [f.name for f in manifest.outputs])
    _unique("lookups", [lookup.view for lookup in manifest.lookups])
    _check_features(manifest)
    _check_lookups(manifest)


def _check_features(manifest: ModelManifest) -> None:
    declared = {field.name for field in manifest.inputs}
    try:
        read = manifest.preprocessor().inputs
    except PreprocessError as error:
        raise ManifestError(str(error)) from None
    for column in read:
        if column not in declared:
            raise ManifestError(f"features read {column!r}, which is not in inputs")


def _check_lookups(manifest: ModelManifest) -> None:
    asked = {field.name for field in manifest.inputs if field.source == REQUEST}
    for lookup in manifest.lookups:
        for key, source in lookup.keys.items():
            if source.column not in asked:
                raise ManifestError(f"lookup {lookup.view!r}, key {key!r}: {source.column!r} is not a request input")
    looked_up = {(lookup.view, column) for lookup in manifest.lookups for column in lookup.columns}
    from_views = {(field.source, field.name) for field in manifest.inputs if field.source != REQUEST}
    if looked_up != from_views:
        view, column = sorted(looked_up ^ from_views)[0]
        raise ManifestError(f"column {column!r} of view {view!r} must be in inputs and in the columns of its lookup")


def _unique(member: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ManifestError(f"{member}: {repeated!r} appears twice")
