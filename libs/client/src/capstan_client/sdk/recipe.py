"""A recipe folder as users write it → the resolved loop and the code archive that the platform takes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from capstan_contracts.errors import FieldError
from capstan_contracts.loop import FeatureDefinitions, FeaturesSpec, Loop, ResolvedLoop
from capstan_contracts.plain import NoPlainFeatures, plain_definitions
from capstan_servicekit.errors import CapstanError, InvalidSpec, broken
from capstan_servicekit.security.paths import under

B = TypeVar("B", bound=BaseModel)
MAX_ARCHIVE = 32 << 20
_LEFT_OUT = {"__pycache__", ".git", ".venv", "data", "demo", "tests", ".capstan", ".mypy_cache", ".ruff_cache"}


class Yaml12(yaml.SafeLoader):
    """SafeLoader with the booleans of YAML 1.2: `true` and `false`. In YAML 1.1 the key `on` would mean true."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def resolve(loop_file: Path, *, project: str = "default") -> tuple[ResolvedLoop, bytes]:
    """Read `loop.yaml` with everything it names; (the resolved loop, its code archive as tar.gz bytes).

    A loop that names no project belongs to `project`. InvalidSpec names the file, the place in it and the rule.
    """
    folder = loop_file.parent
    raw = _yaml(loop_file)
    if not isinstance(raw, dict):
        raise InvalidSpec(f"{loop_file.name} is not a Loop object", errors=broken(loop_file.name, "a YAML mapping"))
    if isinstance(raw.get("metadata"), dict):
        raw["metadata"].setdefault("project", project)
    spec = raw.get("spec")
    if isinstance(spec, dict):
        for place, dataset in _datasets(spec):
            if isinstance(dataset.get("contract"), str):
                dataset["contract"] = _contract(folder, dataset["contract"], place)
    loop = _checked(Loop, raw, loop_file.name)
    if missing := loop.not_built_yet():
        raise InvalidSpec(
            "; ".join(f"{place}: {sentence}" for place, sentence in missing),
            errors=[FieldError(place=place, rule=sentence) for place, sentence in missing],
        )
    definitions = _plain(loop) if loop.spec.features is None else _definitions(folder, loop.spec.features)
    archive = pack(folder)
    return ResolvedLoop(loop=loop, definitions=definitions, code=hashlib.sha256(archive).hexdigest()), archive


def pack(folder: Path) -> bytes:
    """The folder as a tar.gz that depends on names and contents alone."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for path in _files(folder):
            content = path.read_bytes()
            info = tarfile.TarInfo(path.relative_to(folder).as_posix())
            info.size, info.mode, info.mtime = len(content), 0o644, 0
            tar.addfile(info, io.BytesIO(content))
    if buffer.tell() > MAX_ARCHIVE:
        raise InvalidSpec(
            f"the recipe folder is larger than {MAX_ARCHIVE >> 20} MB packed",
            hint="Keep data out of it: put it into a folder called data/.",
        )
    return buffer.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not path.is_symlink() and not _LEFT_OUT.intersection(parts) and path.suffix != ".pyc":
            yield path


def _plain(loop: Loop) -> FeatureDefinitions:
    try:
        return plain_definitions(loop)
    except NoPlainFeatures as error:
        raise InvalidSpec(str(error), errors=broken(error.place, error.rule)) from error


def _definitions(folder: Path, features: FeaturesSpec) -> FeatureDefinitions:
    relative = features.definitions
    place = under(folder, relative.rstrip("/"))
    if not (place / "service.yaml").is_file():
        raise InvalidSpec(
            f"{relative}service.yaml is missing", errors=broken("spec.features.definitions", "a folder with it")
        )
    views = []
    for file in sorted(place.glob("*.yaml")):
        if file.name == "service.yaml":
            continue
        view = _yaml(file)
        if isinstance(view, dict) and isinstance(view.get("sql"), str) and view["sql"].endswith(".sql"):
            view["sql"] = _text(under(place, view["sql"]), file.name)
        views.append(view)
    found = _checked(FeatureDefinitions, {"service": _yaml(place / "service.yaml"), "views": views}, relative)
    if found.service.name != features.service:
        raise InvalidSpec(
            f"spec.features.service is {features.service}, the definitions are of {found.service.name}",
            errors=broken("spec.features.service", "the name in features/service.yaml"),
        )
    return found


def _datasets(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(spec.get("dataset"), dict):
        yield "spec.dataset", spec["dataset"]
    sources = spec.get("sources")
    if isinstance(sources, list):
        for index, source in enumerate(sources):
            if isinstance(source, dict):
                yield f"spec.sources[{index}]", source


def _contract(folder: Path, relative: str, place: str) -> Any:
    try:
        return json.loads(_text(under(folder, relative), place))
    except ValueError as error:
        raise InvalidSpec(
            f"{relative} is not JSON: {error}", errors=broken(f"{place}.contract", "a GX suite as JSON")
        ) from error
    except CapstanError as error:
        raise InvalidSpec(f"{place}.contract: {error}", errors=error.errors) from error


def _text(path: Path, place: str) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise InvalidSpec(f"{place}: {path.name} cannot be read", errors=broken(place, "an existing file")) from error


def _yaml(file: Path) -> Any:
    try:
        return yaml.load(_text(file, file.name), Loader=Yaml12)  # a subclass of SafeLoader
    except yaml.YAMLError as error:
        raise InvalidSpec(f"{file.name} is not YAML: {error}", errors=broken(file.name, "YAML")) from error


def _checked(model: type[B], raw: Any, name: str) -> B:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        errors = [
            FieldError(place=".".join(str(part) for part in item["loc"]), rule=item["msg"]) for item in error.errors()
        ]
        raise InvalidSpec(f"{name}: {len(errors)} rule(s) broken", errors=errors) from error
