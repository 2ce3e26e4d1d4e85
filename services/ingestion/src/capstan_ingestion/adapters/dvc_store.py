"""The DVC store in the folder of the object store, written by a worker that has DVC's library."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from capstan_contracts.rest.ingestion import ManifestFile
from capstan_ingestion.domain.jobs import FileToPlace, PlacedFile
from capstan_servicekit.errors import Upstream
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.security.paths import under

PLACE = JobKind("ingestion", "capstan_ingestion.jobs.place:run", FileToPlace, PlacedFile)
PLACE_TIMEOUT_S = 300.0


class DvcFolderStore:
    """`<root>/<project>/dvc` is a DVC remote: `dvc remote add <name> <that folder>`."""

    def __init__(self, root: Path, jobs: JobPool) -> None:
        self._root, self._jobs = root, jobs

    async def place(
        self, project: str, *, path: str, source: Path, kept: Sequence[ManifestFile], folder: Path
    ) -> PlacedFile:
        """Put `source` under `path` beside the kept files. Upstream where one of these is not there any more."""
        store = under(self._root, f"{project}/dvc/files/md5")
        if lost := await asyncio.to_thread(_lost, store, kept):
            raise Upstream(f"the store has lost {lost.path} ({lost.md5})")
        given = FileToPlace(str(store), path, str(source), {file.path: file.md5 for file in kept})
        return await self._jobs.call(
            PLACE,
            given,
            project=project,
            scratch=folder,
            readable=[source],
            writable=[store],
            timeout_s=PLACE_TIMEOUT_S,
        )


def _lost(store: Path, kept: Sequence[ManifestFile]) -> ManifestFile | None:
    """The first file that the store does not hold, in DVC's layout."""
    return next((file for file in kept if not (store / file.md5[:2] / file.md5[2:]).is_file()), None)
