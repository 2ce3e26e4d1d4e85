"""Files of a version out of the object store, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from capstan_contracts.rest.ingestion import ManifestFile
from capstan_servicekit.objects.port import ObjectStore, path_of

AT_ONCE: Final = 8


async def fetch_files(
    objects: ObjectStore, project: str, dataset: str, files: Sequence[ManifestFile]
) -> dict[str, Path]:
    """Where each file lies, by partition; Damaged names dataset, partition and path.

    A distant store takes a round trip for each, and a dataset may have many.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def fetch(file: ManifestFile) -> Path:
        what = f"dataset {dataset!r}: the file {file.path} of partition {file.partition}"
        async with turns:
            return await path_of(objects, project, file.sha256, what=what)

    paths = await asyncio.gather(*map(fetch, files))
    return {file.partition: path for file, path in zip(files, paths, strict=True)}
