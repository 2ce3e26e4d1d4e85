"""Files of a version out of the object store, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from capstan_contracts.rest.ingestion import ManifestFile
from capstan_servicekit.objects.port import ObjectStore

AT_ONCE: Final = 8


async def fetch_files(objects: ObjectStore, project: str, files: Sequence[ManifestFile]) -> dict[str, Path]:
    """Where each file lies, by partition. A distant store takes a round trip for each, and a dataset may have many."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def fetch(file: ManifestFile) -> Path:
        async with turns:
            return await objects.local_path(project, file.sha256)

    paths = await asyncio.gather(*map(fetch, files))
    return {file.partition: path for file, path in zip(files, paths, strict=True)}
