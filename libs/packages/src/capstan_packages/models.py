"""Packages of kind `model`, for those who have no use for another kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from capstan_packages.contents import Contents, Package
from capstan_packages.errors import PackageError
from capstan_packages.header import MODEL_JSON
from capstan_packages.kinds.model import ModelHeader
from capstan_packages.reader import read_package

ModelContents = Contents[ModelHeader]


@dataclass(frozen=True, slots=True)
class ModelPackage(Package[ModelHeader]):
    """A package of kind `model` that has passed every check of its archive and header."""


def read_model(path: Path) -> ModelPackage:
    """`read_package`, where only a model will do. PackageError names place and rule; FileNotFoundError, OSError."""
    package = read_package(path)
    header = package.header
    if not isinstance(header, ModelHeader):
        raise PackageError(MODEL_JSON, "kind", f"a package of kind 'model' is needed, not {header.kind!r}")
    return ModelPackage(header, package.members, package.baseline, package.digest, package.path)
