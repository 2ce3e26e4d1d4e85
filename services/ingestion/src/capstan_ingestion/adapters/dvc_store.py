"""The DVC store in the folder of the object store, written by a worker that has DVC's library."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from capstan_contracts.rest.ingestion import ManifestFile
from capstan_ingestion.domain.jobs import FilesToPlace, PlacedFiles
from capstan_servicekit.errors import Upstream
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.folder import fsync_folder
from capstan_servicekit.objects.port import Condition
from capstan_servicekit.security.paths import under

PLACE = JobKind("ingestion", "capstan_ingestion.jobs.place:run", FilesToPlace, PlacedFiles)
PLACE_TIMEOUT_S = 300.0


class DvcFolderStore:
    """`<root>/<project>/dvc` is a DVC remote: `dvc remote add <name> <that folder>`."""

    def __init__(self, root: Path, jobs: JobPool) -> None:
        self._root, self._jobs = root, jobs

    async def place(
        self, project: str, *, new: Mapping[str, Path], kept: Sequence[ManifestFile], folder: Path
    ) -> PlacedFiles:
        """Put the new files beside the kept ones. Upstream where one of these is not there any more."""
        store = under(self._root, f"{project}/dvc/files/md5")
        if lost := await asyncio.to_thread(_lost, store, kept):
            raise Upstream(f"the store has lost {lost.path} ({lost.md5})")
        placed = await self._jobs.call(
            PLACE,
            files_to_place(store, new, kept),
            project=project,
            scratch=folder,
            readable=new.values(),
            writable=[store],
            timeout_s=PLACE_TIMEOUT_S,
        )
        for path, source in new.items():
            md5 = placed.md5s[path]
            await asyncio.to_thread(_share, source, store / md5[:2] / md5[2:])
        return placed

    async def scrub(self, project: str, md5: str) -> Condition:
        """Hash its file, which may be the same on the disk as the object's."""
        return await asyncio.to_thread(_condition, under(self._root, f"{project}/dvc/files/md5"), md5)


def _share(source: Path, placed: Path) -> None:
    """Let both be one file on the disk, where that can be: in its box the job can only copy."""
    linked = placed.with_name(f"{placed.name}.linked")
    try:
        linked.unlink(missing_ok=True)
        os.link(source, linked)
        linked.replace(placed)
        fsync_folder(placed.parent)  # the object's bytes are on the disk already
    except OSError:  # another file system, or one without links: the copy stays
        linked.unlink(missing_ok=True)


def _condition(store: Path, md5: str) -> Condition:
    try:
        with (store / md5[:2] / md5[2:]).open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except FileNotFoundError:
        return Condition.GONE
    return Condition.WHOLE if found == md5.removesuffix(".dir") else Condition.DAMAGED


def files_to_place(store: Path, new: Mapping[str, Path], kept: Sequence[ManifestFile]) -> FilesToPlace:
    """What the job is given."""
    sources = {path: str(source) for path, source in new.items()}
    return FilesToPlace(str(store), sources, {file.path: file.md5 for file in kept})


def _lost(store: Path, kept: Sequence[ManifestFile]) -> ManifestFile | None:
    """The first file that the store does not hold, in DVC's layout."""
    return next((file for file in kept if not (store / file.md5[:2] / file.md5[2:]).is_file()), None)
