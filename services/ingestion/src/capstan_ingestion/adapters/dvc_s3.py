"""The DVC store in the object store's bucket: a worker makes the objects in a folder, the service stores them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from capstan_contracts.rest.ingestion import ManifestFile
from capstan_ingestion.adapters.dvc_store import PLACE, PLACE_TIMEOUT_S
from capstan_ingestion.domain.jobs import FileToPlace, PlacedFile
from capstan_servicekit.errors import Upstream
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.s3 import S3Bucket

AT_ONCE = 8


class DvcS3Store:
    """`s3://<bucket>/<prefix>/<project>/dvc` is a DVC remote: `dvc remote add <name> <that URL>`."""

    def __init__(self, bucket: S3Bucket, jobs: JobPool) -> None:
        self._bucket, self._jobs = bucket, jobs

    async def place(
        self, project: str, *, path: str, source: Path, kept: Sequence[ManifestFile], folder: Path
    ) -> PlacedFile:
        """Put `source` under `path` beside the kept files, whose folder comes last. Upstream where one was lost."""
        store = folder / "dvc"
        given = FileToPlace(str(store), path, str(source), {file.path: file.md5 for file in kept})
        placed = await self._jobs.call(
            PLACE, given, project=project, scratch=folder, readable=[source], timeout_s=PLACE_TIMEOUT_S
        )
        await self._need(project, kept)
        for digest in (placed.md5, placed.dvc_md5):
            await self._bucket.put(_key(project, digest), made_file(folder, f"dvc/{digest[:2]}/{digest[2:]}"))
        return placed

    async def _need(self, project: str, kept: Sequence[ManifestFile]) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def there(file: ManifestFile) -> bool:
            async with turns:
                return await self._bucket.exists(_key(project, file.md5))

        for file, found in zip(kept, await asyncio.gather(*map(there, kept)), strict=True):
            if not found:
                raise Upstream(f"the store has lost {file.path} ({file.md5})")


def _key(project: str, digest: str) -> str:
    """DVC's layout: a folder's digest ends in `.dir`."""
    return f"{project}/dvc/files/md5/{digest[:2]}/{digest[2:]}"
