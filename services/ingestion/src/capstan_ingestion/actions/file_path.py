"""The file of a partition, to be read."""

from __future__ import annotations

from pathlib import Path

from capstan_contracts.rest.ingestion import ManifestFile
from capstan_servicekit.objects.port import ObjectStore, path_of


async def file_path(objects: ObjectStore, project: str, dataset: str, file: ManifestFile) -> Path:
    """Where it lies, with its digest; Damaged names dataset, partition and path."""
    what = f"dataset {dataset!r}: the file {file.path} of partition {file.partition}"
    return await path_of(objects, project, file.sha256, what=what)
