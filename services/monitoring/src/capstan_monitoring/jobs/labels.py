"""Keys and labels of one Parquet file, as lines that can be joined."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from capstan_monitoring.domain.jobs import LabelsToRead, ReadLabels
from capstan_monitoring.domain.join import join_key
from capstan_monitoring.domain.labels import LabelRule
from capstan_servicekit.jobs.api import Job, JobRefused

ROWS = 8192
_PLAIN = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string)


def run(job: Job) -> ReadLabels:
    """JobRefused names the column, or the row, that holds no key or label."""
    given = job.read(LabelsToRead)
    rule = LabelRule(given.task, given.classes)
    labels = unlabelled = keyless = 0
    with (job.scratch / "labels.jsonl").open("w", encoding="utf-8") as lines:
        for row, (key, value) in enumerate(_pairs(Path(given.file), given.keys, given.time_keys, given.label)):
            if key is None:
                keyless += 1
                continue
            label = _label(value, row, rule)
            labels, unlabelled = labels + (label is not None), unlabelled + (label is None)
            lines.write(json.dumps([key, label]) + "\n")
    return ReadLabels(labels=labels, unlabelled=unlabelled, keyless=keyless)


def _pairs(path: Path, keys: list[str], time_keys: list[str], label: str) -> Iterator[tuple[str | None, object]]:
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in (*keys, label) if name not in file.schema_arrow.names]
            if missing:
                raise JobRefused(
                    f"the file has no column {missing[0]!r}", errors=[(missing[0], "a column of the file")]
                )
            for batch in file.iter_batches(batch_size=ROWS, columns=[*keys, label]):
                columns = [_plain(batch.column(key), key, key in time_keys) for key in keys]
                values = batch.column(label).to_pylist()
                yield from (
                    (join_key(key), value) for key, value in zip(zip(*columns, strict=True), values, strict=True)
                )
    except (pa.ArrowException, OSError) as error:
        raise JobRefused(f"the file cannot be read: {error}", errors=[("file", "Parquet")]) from error


def _plain(column: pa.Array, name: str, time: bool) -> list[object]:
    """Key values as JSON has them; points in time as microseconds."""
    kind = column.type
    if pa.types.is_timestamp(kind) or (time and pa.types.is_date(kind)):
        return column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None))).cast(pa.int64()).to_pylist()  # type: ignore[no-any-return]
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode(), name, time)
    if any(fits(kind) for fits in _PLAIN):
        return column.to_pylist()  # type: ignore[no-any-return]
    raise JobRefused(f"the key {name!r} is {kind}", errors=[(name, "a number, a string, a bool or a point in time")])


def _label(value: object, row: int, rule: LabelRule) -> float | None:
    if value is None or value != value:
        return None
    if isinstance(value, bool | int | float | Decimal) and rule.holds(label := _number(value)):
        return label
    raise JobRefused(
        f"row {row}: the label is {str(value)[:40]!r}, and labels are {rule.sentence}",
        errors=[("label", f"{rule.sentence}, or null")],
    )


def _number(value: bool | int | float | Decimal) -> float:
    """As a float, infinite where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
