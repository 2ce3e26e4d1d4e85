"""A version is content: the sha256 of what its manifest says of names, schema and files, and of no time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import Manifest, ManifestFile


def path_in_dataset(partition: str) -> str:
    """Where the file of a partition lies inside the dataset's folder."""
    return f"{partition}.parquet"


def earlier_columns(head: Manifest | None, partition: str) -> dict[str, str]:
    """The schema that a batch has to keep: that of the files which stay when its partition is (re)placed."""
    if head is None or all(file.partition == partition for file in head.files):
        return {}
    return dict(head.columns)


def other_files(head: Manifest | None, partition: str, event_time: str) -> list[ManifestFile]:
    """The files of the other partitions, without their times where another clock than `event_time` told them.

    A manifest names one clock, and times of two cannot be compared.
    """
    files = [file for file in (head.files if head else []) if file.partition != partition]
    if head is None or head.event_time == event_time:
        return files
    return [file.model_copy(update={"event_time_min": None, "event_time_max": None}) for file in files]


def identity(spec: DatasetSpec, columns: Mapping[str, str], files: Sequence[ManifestFile]) -> bytes:
    """The canonical JSON whose sha256 is the version. Where rows came from is not part of it: bytes are."""
    document = {
        "dataset": spec.name,
        "keys": spec.keys,
        "event_time": spec.event_time,
        "columns": dict(columns),
        "files": [
            {
                "partition": file.partition,
                "path": file.path,
                "md5": file.md5,
                "sha256": file.sha256,
                "bytes": file.bytes,
                "rows": file.rows,
            }
            for file in files
        ],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def version_of(content: bytes) -> str:
    """The version whose canonical JSON this is."""
    return hashlib.sha256(content).hexdigest()


def dvc_file(manifest: Manifest) -> str:
    """The text of the `.dvc` file with which a plain DVC user pulls this version (a YAML document)."""
    size = sum(file.bytes for file in manifest.files)
    return (
        f"outs:\n- md5: {manifest.dvc_md5}\n  size: {size}\n  nfiles: {len(manifest.files)}\n"
        f"  hash: md5\n  path: {manifest.dataset}\n"
    )
