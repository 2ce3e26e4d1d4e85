"""What the jobs of ingestion are given and what they make. Files are paths, times ISO 8601 texts in UTC."""

from __future__ import annotations

from dataclasses import dataclass

from capstan_contracts.documents import JsonObject


@dataclass(frozen=True)
class FileToCheck:
    """A batch as it arrived. `form` is a Form as text, `dataset` its DatasetSpec as JSON.

    `earlier`: the columns (name to type) that the batch has to keep; `needed`: those that loops read. The limits are
    those of `file_refused.Limits`, and the most failing rows that are written down.
    """

    path: str
    form: str
    dataset: JsonObject
    earlier: dict[str, str]
    needed: list[str]
    max_columns: int
    max_table_bytes: int
    max_failing_rows: int


@dataclass(frozen=True)
class CheckedFile:
    """`verdict` is a Verdict as JSON. `canonical` and `failing_rows` are names of files in scratch."""

    verdict: JsonObject
    columns: dict[str, str]
    event_time_min: str | None
    event_time_max: str | None
    canonical: str | None
    failing_rows: str | None
    failing_total: int


@dataclass(frozen=True)
class FilesToPlace:
    """The `new` files (path in the dataset to file) go into the store `files/md5`, beside the `kept` (path to md5)."""

    store: str
    new: dict[str, str]
    kept: dict[str, str]


@dataclass(frozen=True)
class PlacedFiles:
    """DVC's digests of the new files, by path, and of the folder that they now lie in."""

    md5s: dict[str, str]
    dvc_md5: str


@dataclass(frozen=True)
class FilesToWiden:
    """Canonical files by partition, and the types that columns of theirs get."""

    files: dict[str, str]
    columns: dict[str, str]


@dataclass(frozen=True)
class WidenedFiles:
    """The files in scratch, by partition."""

    files: dict[str, str]


@dataclass(frozen=True)
class KeysToCompare:
    """A canonical file that is to be committed, and the files of other partitions (name to file).

    With `replace`, the others are written again without the rows whose key this file has.
    """

    path: str
    keys: list[str]
    event_time: str
    others: dict[str, str]
    replace: bool
    max_failing_rows: int


@dataclass(frozen=True)
class LeftFile:
    """What is left of a partition that loses rows: the file in scratch, its rows, and their event times.

    Without a row there is no file.
    """

    rows: int
    file: str | None = None
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True)
class ComparedKeys:
    """`rows` of the file have a key of another partition, in each so many.

    Where they are to be quarantined, `failing_rows` is a file in scratch. Where they replace others, `left` has the
    fields of a LeftFile per partition that loses rows.
    """

    rows: int
    by_partition: dict[str, int]
    failing_rows: str | None
    left: dict[str, JsonObject]
