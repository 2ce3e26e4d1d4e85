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
POST /scrubs                                    ScrubRequest -> 202 Scrub          operator (Idempotency-Key)
GET  /scrubs, /scrubs/{scrub}                                                      viewer
POST /scrubs/{scrub}/cancel                     -> Scrub                           operator
PUT  /loops/{loop}?dry_run=                     LoopPart -> PartStatus             service
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from capstan_contracts.base import Instant, Lenient, Wire
from capstan_contracts.errors import Problem
from capstan_contracts.ids import Digest, Name, Uuid7
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.work import Progress, State


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


class ScrubRequest(Wire):
    """Read every stored byte of a dataset, or of all datasets of the project, and say what is damaged or gone."""

    dataset: Name | None = None


class ScrubFinding(Lenient):
    """An object that is not as it was stored. A file without which versions cannot be read names them."""

    dataset: str
    what: Literal["file", "dvc-file", "manifest", "batch", "failing-rows"]
    condition: Literal["damaged", "gone"]
    digest: str = Field(description="sha256; md5 of a dvc-file, with .dir where it lists a version's files")
    partition: str | None = None
    path: str | None = Field(default=None, description="path inside the dataset folder")
    versions: list[Digest] = Field(default_factory=list, description="the versions that hold it, oldest first")


class Scrub(Lenient):
    """A walk over the objects of datasets; `progress` counts objects."""

    id: Uuid7
    dataset: str | None = None
    state: State
    progress: Progress = Progress()
    problem: Problem | None = None
    objects: int = Field(default=0, description="objects that were read")
    damaged: int = 0
    gone: int = 0
    findings: list[ScrubFinding] = Field(default_factory=list, description="the first 1,000; the counts say all")
    created_at: Instant
    finished_at: Instant | None = None
