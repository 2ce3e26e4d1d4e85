"""Ingestion: datasets, batches, verdicts, versions.

PUT  /datasets/{dataset}                        DatasetSpec -> Dataset             admin
GET  /datasets, /datasets/{dataset}                                                viewer
POST /datasets/{dataset}/batches?partition=&filename=&media=&replaces=&allow_duplicate=
                                                raw bytes -> 202 Batch             operator
                                                (Idempotency-Key; Content-Encoding: gzip; a folder of files as a tar)
POST /datasets/{dataset}/pulls                  PullRequest -> 202 Batch           operator
GET  /datasets/{dataset}/batches, /batches/{batch}                                 viewer
GET  /batches/{batch}/failing-rows              FailingRows                        viewer
POST /batches/{batch}/replay                    -> 202 Batch                       operator
GET  /datasets/{dataset}/versions, /datasets/{dataset}/versions/{version}          viewer  (12+ hex characters suffice)
GET  /datasets/{dataset}/versions/{version}/dvc  text of the .dvc file             viewer
PUT  /loops/{loop}?dry_run=                     LoopPart -> PartStatus             service
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from capstan_contracts.base import Instant, Lenient, Wire
from capstan_contracts.errors import Problem
from capstan_contracts.ids import Digest
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.work import Progress


class Dataset(Lenient):
    """A registered dataset and its newest version."""

    name: str
    spec: DatasetSpec
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="the schema that the next file is read as: inferred from the first one, changed by what the spec "
        "declares under `columns`",
    )
    latest: Digest | None = None
    rows: int = 0
    partitions: int = 0


class BatchState(StrEnum):
    """Life of a batch; `committed`, `quarantined` and `failed` are ends, a replay starts again."""

    RECEIVED = "received"
    CHECKING = "checking"
    COMMITTED = "committed"
    QUARANTINED = "quarantined"
    REPLACED = "replaced"
    FAILED = "failed"


class CheckResult(Lenient):
    """The result of one expectation of the contract on one batch."""

    key: str
    expectation: str
    column: str | None = None
    severity: Literal["critical", "warning", "info"]
    outcome: Literal["passed", "failed", "error"]
    failing_rows: int = 0
    failing_share: float = 0.0
    sentence: str = ""


class Verdict(Lenient):
    """The contract's verdict on a batch: blocked by any critical failure or error."""

    passed: bool
    rows: int
    engine: str
    checks: list[CheckResult]


class Batch(Lenient):
    """One file that arrived."""

    id: Digest
    dataset: str
    partition: str
    filename: str
    media: str = Field(description="the medium or `tar`, with `+gzip` where it is compressed: `csv`, `csv+gzip`")
    bytes: int
    state: BatchState
    progress: Progress = Progress()
    rows: int | None = None
    verdict: Verdict | None = None
    version: Digest | None = None
    replaces: Digest | None = None
    problem: Problem | None = None
    received_at: Instant
    finished_at: Instant | None = None


class FailingRows(Lenient):
    """Rows of a quarantined batch that broke the contract, with their place in the file."""

    batch: Digest
    total: int
    rows: list[dict[str, Any]] = Field(
        description="`_row` (0-based in the file), `_checks` (keys), and the columns; one that is called so itself is "
        "`column:_row`"
    )


class PullRequest(Wire):
    """Fetch a batch from an address."""

    url: str
    partition: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    allow_duplicate: bool = Field(default=False, description="another partition may hold the same bytes")


class ManifestFile(Lenient):
    """One immutable Parquet file of a dataset version."""

    partition: str
    batch: Digest
    path: str = Field(description="path inside the dataset folder, as in DVC")
    md5: str
    sha256: Digest = Field(description="digest of the Parquet file in the object store")
    bytes: int
    rows: int
    event_time_min: Instant | None = None
    event_time_max: Instant | None = None
    source: str = Field(description="the file name that the client gave")


class Manifest(Lenient):
    """A dataset version: sha256 over the canonical JSON of its name, schema and files."""

    dataset: str
    version: Digest
    parent: Digest | None = None
    sequence: int
    keys: list[str]
    event_time: str
    columns: dict[str, str]
    files: list[ManifestFile]
    rows: int
    dvc_md5: str = Field(description="DVC's hash of the folder, with .dir")
    created_at: Instant
