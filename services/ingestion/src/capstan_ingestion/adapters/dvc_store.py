"""The DVC store in the folder of the object store, written by a worker that has DVC's library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from capstan_contracts.rest.ingestion import ManifestFile
from capstan_ingestion.actions.ports import Placed
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.security.paths import under


class DvcFolderStore:
    """`<root>/<project>/dvc` is a DVC remote: `dvc remote add <name> <that folder>`."""

    def __init__(self, root: Path, jobs: JobPool) -> None:
        self._root, self._jobs = root, jobs

    async def place(
        self, project: str, *, path: str, source: Path, kept: Sequence[ManifestFile], folder: Path
    ) -> Placed:
        """Put `source` under `path` beside the kept files."""
        request = {
            "store": str(under(self._root, f"{project}/dvc/files/md5")),
            "new": {"path": path, "source": str(source)},
            "kept": [{"path": file.path, "md5": file.md5} for file in kept],
        }
        result = await self._jobs.run(
            "ingestion", "capstan_ingestion.jobs.place:run", request, scratch=folder, timeout_s=300
        )
        return Placed(md5=result["md5"], dvc_md5=result["dvc_md5"])
