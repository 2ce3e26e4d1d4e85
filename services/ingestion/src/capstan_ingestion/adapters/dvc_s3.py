"""The DVC store in the object store's bucket: a worker makes the objects in a folder, the service stores them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from capstan_contracts.rest.ingestion import ManifestFile
from capstan_ingestion.adapters.dvc_store import PLACE, PLACE_TIMEOUT_S, files_to_place
from capstan_ingestion.domain.jobs import PlacedFiles
from capstan_servicekit.errors import Upstream
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.bucket import S3Bucket
from capstan_servicekit.objects.port import Condition

AT_ONCE = 8


class DvcS3Store:
    """`s3://<bucket>/<prefix>/<project>/dvc` is a DVC remote: `dvc remote add <name> <that URL>`."""

    def __init__(self, bucket: S3Bucket, jobs: JobPool) -> None:
        self._bucket, self._jobs = bucket, jobs

    async def place(
        self, project: str, *, new: Mapping[str, Path], kept: Sequence[ManifestFile], folder: Path
    ) -> PlacedFiles:
        """Put the new files beside the kept ones; their folder comes last. Upstream where a kept one was lost."""
        store = folder / "dvc"
        given = files_to_place(store, new, kept)
        placed = await self._jobs.call(
            PLACE, given, project=project, scratch=folder, readable=new.values(), timeout_s=PLACE_TIMEOUT_S
        )
        await self._need(project, kept)
        turns = asyncio.Semaphore(AT_ONCE)

        async def put(digest: str) -> None:
            async with turns:
                await self._bucket.put(_key(project, digest), made_file(folder, f"dvc/{digest[:2]}/{digest[2:]}"))

        await asyncio.gather(*map(put, sorted(set(placed.md5s.values()))))
        await put(placed.dvc_md5)
        return placed

    async def scrub(self, project: str, md5: str) -> Condition:
        """Stream it from the bucket."""
        try:
            found = await self._bucket.digest_of(_key(project, md5), lambda: hashlib.md5(usedforsecurity=False))
        except FileNotFoundError:
            return Condition.GONE
        return Condition.WHOLE if found == md5.removesuffix(".dir") else Condition.DAMAGED

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
