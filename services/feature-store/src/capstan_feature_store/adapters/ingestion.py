"""Ingestion's versions over REST, and their files from the object store."""

from __future__ import annotations

from pathlib import Path

from capstan_contracts.ids import short
from capstan_contracts.rest.ingestion import Dataset, Manifest
from capstan_servicekit.errors import BadRequest
from capstan_servicekit.objects.port import ObjectStore, path_of
from capstan_servicekit.peers import Peers


class IngestionDatasets:
    """The `Datasets` port."""

    def __init__(self, peers: Peers, objects: ObjectStore) -> None:
        self._peers, self._objects = peers, objects

    async def latest(self, project: str, dataset: str) -> str:
        """The newest version."""
        summary = await self._peers.get("ingestion", f"/v1/projects/{project}/datasets/{dataset}", Dataset)
        if summary.latest is None:
            raise BadRequest(
                f"dataset {dataset!r} has no version yet", hint="Upload a batch that its contract lets pass."
            )
        return summary.latest

    async def manifest(self, project: str, dataset: str, version: str) -> Manifest:
        """The manifest of a version."""
        return await self._peers.get(
            "ingestion", f"/v1/projects/{project}/datasets/{dataset}/versions/{version}", Manifest
        )

    async def files(self, project: str, manifest: Manifest) -> list[Path]:
        """The files of a version, in the manifest's order."""
        where = f"dataset {manifest.dataset!r}, version {short(manifest.version)}"
        return [
            await path_of(
                self._objects, project, file.sha256, what=f"{where}: the file {file.path} of partition {file.partition}"
            )
            for file in manifest.files
        ]
