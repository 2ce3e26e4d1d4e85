"""The DVC store in the object store's bucket: a worker makes the objects in a folder, the service stores them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from capstan_contracts.rest.ingestion import ManifestFile
from capstan_ingestion.actions.ports import Placed
from capstan_servicekit.errors import Upstream
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.s3 import S3Bucket

AT_ONCE = 8


class DvcS3Store:
    """`s3://<bucket>/<prefix>/<project>/dvc` is a DVC remote: `dvc remote add <name> <that URL>`."""

    def __init__(self, bucket: S3Bucket, jobs: JobPool) -> None:
        self._bucket, self._jobs = bucket, jobs

    async def place(
        self, project: str, *, path: str, source: Path, kept: Sequence[ManifestFile], folder: Path
    ) -> Placed:
        """Put `source` under `path` beside the kept files; the folder comes last. Upstream where one was lost."""
        store = folder / "dvc"
        request = {
            "store": str(store),
            "new": {"path": path, "source": str(source)},
            "kept": [{"path": file.path, "md5": file.md5} for file in kept],
        }
        result = await self._jobs.run(
            "ingestion", "capstan_ingestion.jobs.place:run", request, scratch=folder, timeout_s=300
        )
        await self._need(project, kept)
        for digest in (result["md5"], result["dvc_md5"]):
            await self._bucket.put(_key(project, digest), store / digest[:2] / digest[2:])
        return Placed(md5=result["md5"], dvc_md5=result["dvc_md5"])

    async def _need(self, project: str, kept: Sequence[ManifestFile]) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def look(file: ManifestFile) -> None:
            async with turns:
                if not await self._bucket.exists(_key(project, file.md5)):
                    raise Upstream(f"the store has lost {file.path} ({file.md5})")

        async with asyncio.TaskGroup() as group:
            for file in kept:
                group.create_task(look(file))


def _key(project: str, digest: str) -> str:
    """DVC's layout: a folder's digest ends in `.dir`."""
    return f"{project}/dvc/files/md5/{digest[:2]}/{digest[2:]}"
