"""A recipe folder as users write it → the resolved loop and the code archive that the platform takes.

All that is wrong is found before anything is said, so that a person mends it in one go. Needs no platform.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from capstan_client.sdk import yaml12
from capstan_client.sdk.packing import pack
from capstan_client.sdk.rules import broken_rules
from capstan_contracts.errors import FieldError
from capstan_contracts.loop import FeatureDefinitions, Loop, ResolvedLoop
from capstan_contracts.plain import NoPlainFeatures, plain_definitions
from capstan_servicekit.errors import CapstanError, InvalidSpec
from capstan_servicekit.security.paths import under

B = TypeVar("B", bound=BaseModel)


def resolve(loop_file: Path, *, project: str = "default") -> tuple[ResolvedLoop, bytes]:
    """Read `loop.yaml` with everything it names; (the resolved loop, its code archive as tar.gz bytes).

    A loop that names no project belongs to `project`. InvalidSpec names each place that is wrong, and the rule.
    """
    reading = _Reading(loop_file)
    loop = reading.loop(project)
    definitions = reading.definitions(loop) if loop is not None else None
    archive = reading.archive()
    if reading.errors or loop is None or definitions is None:
        raise reading.refusal()
    return ResolvedLoop(loop=loop, definitions=definitions, code=hashlib.sha256(archive).hexdigest()), archive


@dataclass
class _Reading:
    """One recipe being read, and what was found to be wrong with it."""

    file: Path
    errors: list[FieldError] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.file.parent

    def loop(self, project: str) -> Loop | None:
        raw = self._yaml(self.file, self.file.name)
        if not isinstance(raw, dict):
            if not self.errors:
                self._wrong(self.file.name, "is not a YAML mapping with apiVersion, kind, metadata and spec")
            return None
        if isinstance(raw.get("metadata"), dict):
            raw["metadata"].setdefault("project", project)
        for place, dataset in _datasets(raw.get("spec")):
            if isinstance(dataset.get("contract"), str):
                dataset["contract"] = self._contract(dataset["contract"], f"{place}.contract")
        loop = self._model(Loop, raw, "")
        if loop is not None:
            for place, sentence in loop.not_built_yet():
                self._wrong(place, sentence)
            self._pipeline(loop.spec.training.pipeline)
            for place, rule in loop.spec.monitoring.drift.too_few_rows():
                self._wrong(f"spec.monitoring.{place}", rule)
        return loop

    def definitions(self, loop: Loop) -> FeatureDefinitions | None:
        named = loop.spec.features
        if named is None:
            return self._plain(loop)
        folder = self._inside(self.folder, named.definitions.rstrip("/"), "spec.features.definitions")
        if folder is None:
            return None
        shown = folder.relative_to(self.folder.resolve())
        if not (folder / "service.yaml").is_file():
            self._wrong("spec.features.definitions", f"names a folder without service.yaml: {named.definitions}")
            return None
        count = len(self.errors)
        service = self._yaml(folder / "service.yaml", f"{shown}/service.yaml")
        views = [self._view(path, f"{shown}/{path.name}") for path in sorted(folder.glob("*.yaml"))
                 if path.name != "service.yaml"]  # fmt: skip
        if len(self.errors) > count:
            return None
        definitions = self._model(FeatureDefinitions, {"service": service, "views": views}, f"{shown}: ")
        if definitions is not None:
            self._fits(loop, named.service, definitions)
        return definitions

    def _plain(self, loop: Loop) -> FeatureDefinitions | None:
        try:
            return plain_definitions(loop)
        except NoPlainFeatures as error:
            self._wrong(error.place, error.rule)
            return None

    def archive(self) -> bytes:
        try:
            return pack(self.folder)
        except CapstanError as error:
            self.errors += error.errors
            return b""

    def refusal(self) -> InvalidSpec:
        count = len(self.errors)
        what = "1 thing is" if count == 1 else f"{count} things are"
        return InvalidSpec(f"{self.file}: {what} wrong", errors=self.errors)

    def _fits(self, loop: Loop, asked: str, definitions: FeatureDefinitions) -> None:
        defined = definitions.service.name
        if asked != defined:
            self._wrong("spec.features.service", f"is {asked}, but features/service.yaml defines {defined}")
        datasets = [loop.spec.dataset.name, *(source.name for source in loop.spec.sources)]
        for view in definitions.views:
            if view.dataset not in datasets:
                self._wrong(f"view {view.name}: dataset", f"{view.dataset} is no dataset of the loop; there are: "
                            f"{', '.join(datasets)}")  # fmt: skip

    def _view(self, path: Path, name: str) -> Any:
        view = self._yaml(path, name)
        if isinstance(view, dict) and isinstance(view.get("sql"), str) and view["sql"].endswith(".sql"):
            file = self._inside(path.parent, view["sql"], f"{name}: sql")
            if file is not None:
                view["sql"] = self._text(file, f"{name}: sql", view["sql"])
        return view

    def _contract(self, relative: str, place: str) -> Any:
        path = self._inside(self.folder, relative, place)
        text = self._text(path, place, relative) if path is not None else None
        if text is None:
            return {}
        try:
            suite = json.loads(text)
        except ValueError as error:
            self._wrong(place, f"{relative} is not JSON: {error}")
            return {}
        except RecursionError:
            self._wrong(place, f"{relative} is nested too deeply")
            return {}
        if not isinstance(suite, dict) or not isinstance(suite.get("expectations"), list):
            self._wrong(place, f"{relative} is not a Great Expectations suite: it has no list `expectations`")
            return {}
        return suite

    def _pipeline(self, named: str) -> None:
        """`file.py:function` is there. The file is parsed and not run."""
        place, (relative, _, function) = "spec.training.pipeline", named.partition(":")
        path = self._inside(self.folder, relative, place)
        text = self._text(path, place, relative) if path is not None else None
        if text is None:
            return
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError) as error:
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
            self._wrong(place, f"{relative} is not Python{line}: {getattr(error, 'msg', error)}")
            return
        if not any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body):
            self._wrong(place, f"{relative} has no function {function}")

    def _inside(self, folder: Path, relative: str, place: str) -> Path | None:
        try:
            return under(folder, relative)
        except CapstanError as error:
            rule = error.errors[0].rule
            self._wrong(place, f"{relative!r} is not a path below the recipe folder ({rule})")
            return None

    def _text(self, path: Path, place: str, shown: str) -> str | None:
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            self._wrong(place, f"{shown} is not UTF-8 text (byte {error.start})".strip())
        except OSError as error:
            self._wrong(place, f"{shown} cannot be read: {error.strerror}".strip())
        return None

    def _yaml(self, path: Path, name: str) -> Any:
        text = self._text(path, name, "")
        if text is None:
            return None
        try:
            return yaml12.load(text)
        except ValueError as error:
            self._wrong(name, f"is not YAML: {error}")
            return None

    def _model(self, model: type[B], raw: Any, prefix: str) -> B | None:
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            for breach in broken_rules(model, error):
                self._wrong(prefix + breach.place, breach.rule)
            return None

    def _wrong(self, place: str, rule: str) -> None:
        self.errors.append(FieldError(place=place, rule=rule))


def _datasets(spec: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(spec, dict):
        return
    if isinstance(spec.get("dataset"), dict):
        yield "spec.dataset", spec["dataset"]
    sources = spec.get("sources")
    if isinstance(sources, list):
        for index, source in enumerate(sources):
            if isinstance(source, dict):
                yield f"spec.sources[{index}]", source
