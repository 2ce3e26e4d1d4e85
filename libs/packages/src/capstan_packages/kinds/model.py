"""Kind `model`: a model of rows, with the preprocessing that makes its matrix and the features it looks up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from capstan_formats.preprocess import PreprocessError, Preprocessor
from capstan_formats.strict_json import JsonRuleError, need
from capstan_packages.errors import HeaderError
from capstan_packages.fields import EntityLookup, lookup_json, read_entries, read_lookup, refuse_repeated
from capstan_packages.header import Header, common_fields
from capstan_packages.signature import REQUEST

GIB: Final = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHeader(Header):
    """model.json of a model, checked as a whole: every feature and key column is declared, every view is looked up.

    `features` are the operations of `capstan_formats.preprocess`, in the column order of the matrix that the engine is
    given. `label` is the column that the model learned to predict.
    """

    kind: str = "model"
    features: tuple[Mapping[str, Any], ...]
    lookups: tuple[EntityLookup, ...] = ()
    label: str

    def __post_init__(self) -> None:
        # Named, because a dataclass with slots is made anew and the bare `super()` would mean the first one.
        Header.__post_init__(self)
        if not self.signature.inputs or not self.signature.outputs or not self.features:
            raise HeaderError("signature.inputs, signature.outputs and features must not be empty")
        refuse_repeated("lookups", [lookup.view for lookup in self.lookups])
        _check_features(self)
        _check_lookups(self)

    def preprocessor(self) -> Preprocessor:
        """The operations of `features`, ready to run."""
        return Preprocessor.from_spec(self.features)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `read` reads back."""
        return Header.to_json(self) | {
            "features": [dict(entry) for entry in self.features],
            "lookups": [lookup_json(lookup) for lookup in self.lookups],
            "label": self.label,
        }


@dataclass(frozen=True, slots=True)
class Model:
    """The kind: see `kinds.port`. A member of 8 GiB is the most that the size field of a ustar header holds."""

    name: str = "model"
    member_bytes: int = 8 * GIB - 1
    total_bytes: int = 64 * GIB
    baseline: bool = True

    def read(self, source: Mapping[str, Any]) -> ModelHeader:
        """See `PackageKind.read`."""
        try:
            return ModelHeader(
                **common_fields(source),
                features=read_entries(source, "features", lambda entry, place: entry),
                lookups=read_entries(source, "lookups", read_lookup),
                label=need(source, "label", str),
            )
        except JsonRuleError as error:
            raise HeaderError(str(error)) from None


KIND: Final = Model()


def _check_features(header: ModelHeader) -> None:
    declared = {field.name for field in header.signature.inputs}
    try:
        read = header.preprocessor().inputs
    except PreprocessError as error:
        raise HeaderError(str(error)) from None
    for column in read:
        if column not in declared:
            raise HeaderError(f"features read {column!r}, which is not in signature.inputs")


def _check_lookups(header: ModelHeader) -> None:
    inputs = header.signature.inputs
    asked = {field.name for field in inputs if field.source == REQUEST}
    for lookup in header.lookups:
        for key, source in lookup.keys.items():
            if source.column not in asked:
                raise HeaderError(f"lookup {lookup.view!r}, key {key!r}: {source.column!r} is not a request input")
    looked_up = {(lookup.view, column) for lookup in header.lookups for column in lookup.columns}
    from_views = {(field.source, field.name) for field in inputs if field.source != REQUEST}
    if looked_up != from_views:
        view, column = sorted(looked_up ^ from_views)[0]
        raise HeaderError(
            f"column {column!r} of view {view!r} must be in signature.inputs and in the columns of its lookup"
        )
