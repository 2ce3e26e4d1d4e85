"""Asks ingestion which dataset versions there are."""

from __future__ import annotations

from capstan_contracts.rest.ingestion import Dataset, Manifest
from capstan_servicekit.peers import Peers


class IngestionDatasets:
    """Datasets by ingestion's REST."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def newest(self, project: str, dataset: str) -> str | None:
        """The newest version, if there is one."""
        newest = await self._peers.get("ingestion", f"/v1/projects/{project}/datasets/{dataset}", Dataset)
        return newest.latest

    async def resolve(self, project: str, dataset: str, version: str) -> str:
        """The full digest of a version."""
        return (await self._manifest(project, dataset, version)).version

    async def partitions(self, project: str, dataset: str, version: str) -> int:
        """How many partitions a version has."""
        return len({file.partition for file in (await self._manifest(project, dataset, version)).files})

    async def _manifest(self, project: str, dataset: str, version: str) -> Manifest:
        path = f"/v1/projects/{project}/datasets/{dataset}/versions/{version}"
        return await self._peers.get("ingestion", path, Manifest)
