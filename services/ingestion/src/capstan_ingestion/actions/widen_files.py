"""Bring the files of a version to the types that its dataset declares by now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from capstan_contracts.rest.ingestion import ManifestFile
from capstan_ingestion.actions.fetch_files import fetch_files
from capstan_ingestion.actions.ports import Checker
from capstan_servicekit.objects.port import ObjectStore


class WidenFiles:
    """Reads files only where a type has changed: once per change of a declaration."""

    def __init__(self, checker: Checker, objects: ObjectStore) -> None:
        self._checker, self._objects = checker, objects

    async def __call__(
        self,
        project: str,
        dataset: str,
        files: Sequence[ManifestFile],
        held: Mapping[str, str],
        wanted: Mapping[str, str],
        folder: Path,
    ) -> list[ManifestFile]:
        """The files, which have `held` types, in `wanted` ones. InvalidData names a value that does not fit."""
        changed = {name: wanted[name] for name, old in held.items() if old not in ("null", wanted.get(name, old))}
        if not changed or not files:
            return list(files)
        paths = await fetch_files(self._objects, project, dataset, files)
        widened = await self._checker.widen(project, paths, changed, folder=folder)
        rewritten = []
        for file in files:
            source = widened[file.partition]
            sha256 = await self._objects.put_file(project, source)
            rewritten.append(file.model_copy(update={"sha256": sha256, "bytes": source.stat().st_size}))
        return rewritten
