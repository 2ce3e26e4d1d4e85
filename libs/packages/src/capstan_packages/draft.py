"""The header of a model with a default for whatever is not said: for a step of training, an example or a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from capstan_formats.preprocess import Operation, Preprocessor
from capstan_packages.contents import Contents, members_of
from capstan_packages.fields import Metrics, Pins
from capstan_packages.kinds.model import KIND, ModelHeader
from capstan_packages.models import ModelContents
from capstan_packages.signature import DType, InputField, Signature, outputs_of

NOTHING_PINNED: Final = Pins("0" * 64, {}, "0" * 64, {}, 0)


def draft(
    features: Sequence[Mapping[str, Any]],
    *,
    engine: str,
    members: Sequence[str],
    task: str = "binary",
    classes: int = 2,
    **given: Any,
) -> ModelHeader:
    """A header that answers `task` from `features`; `given` are other fields of ModelHeader, by name.

    Without `signature`, every column that the features read is an input of the request, of the type that its operation
    takes. HeaderError, PreprocessError, KeyError for an unknown task.
    """
    preprocessor = Preprocessor.from_spec(features)
    if "signature" not in given:
        inputs = {
            operation.column: InputField(operation.column, _dtype(operation)) for operation in preprocessor.operations
        }
        given["signature"] = Signature(tuple(inputs.values()), outputs_of(task, classes))
    defaults = {
        "name": "draft",
        "license": "Apache-2.0",
        "pins": NOTHING_PINNED,
        "metrics": Metrics({}, {}),
        "label": "label",
    }
    fields = {"engine": engine, "task": task, "members": tuple(members), "features": tuple(features)}
    return ModelHeader(**{**defaults, **fields, **given})


def unpacked(header: ModelHeader, folder: Path) -> ModelContents:
    """The engine's members of a header as files of a folder, to be loaded before there is a package. PackageError.

    Neither the header nor the baseline need lie there.
    """
    return Contents(header, members_of(folder, header.members, KIND.member_bytes))


def _dtype(operation: Operation) -> DType:
    if operation.op == "numeric":
        return "float64"
    if operation.op != "category":
        return "timestamp"
    return "int64" if operation.vocabulary and isinstance(operation.vocabulary[0], int) else "string"
