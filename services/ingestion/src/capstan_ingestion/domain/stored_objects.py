"""Which objects the datasets of a project stand on, each once, with the versions that it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from capstan_contracts.rest.ingestion import Manifest

What = Literal["file", "dvc-file", "manifest", "batch", "failing-rows"]


@dataclass
class StoredObject:
    """An object of a dataset. `digest` is a sha256, of a `dvc-file` the md5 that DVC gave it."""

    dataset: str
    what: What
    digest: str
    partition: str | None = None
    path: str | None = None
    versions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StoredBatch:
    """A batch as it came, and the rows of it that broke the contract."""

    dataset: str
    partition: str
    digest: str
    failing_rows: str | None


def objects_of(manifests: Iterable[Manifest], batches: Iterable[StoredBatch]) -> list[StoredObject]:
    """The objects behind versions, given oldest first, and batches, each once."""
    found: dict[tuple[str, What, str], StoredObject] = {}

    def add(
        dataset: str, what: What, digest: str, partition: str | None = None, path: str | None = None
    ) -> StoredObject:
        return found.setdefault((dataset, what, digest), StoredObject(dataset, what, digest, partition, path))

    for manifest in manifests:
        own = [add(manifest.dataset, "manifest", manifest.version), add(manifest.dataset, "dvc-file", manifest.dvc_md5)]
        for file in manifest.files:
            own.append(add(manifest.dataset, "file", file.sha256, partition=file.partition, path=file.path))
            own.append(add(manifest.dataset, "dvc-file", file.md5, partition=file.partition, path=file.path))
        for one in own:
            one.versions.append(manifest.version)
    for batch in batches:
        add(batch.dataset, "batch", batch.digest, partition=batch.partition)
        if batch.failing_rows is not None:
            add(batch.dataset, "failing-rows", batch.failing_rows, partition=batch.partition)
    return list(found.values())
