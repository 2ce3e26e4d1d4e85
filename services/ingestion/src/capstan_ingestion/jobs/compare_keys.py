"""Find the rows of a new file whose keys other partitions of the dataset have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from capstan_contracts.rest.ingestion import CheckResult
from capstan_ingestion.domain.jobs import ComparedKeys, KeysToCompare
from capstan_ingestion.modalities.port import Finding
from capstan_ingestion.modalities.table.canonical import write
from capstan_ingestion.modalities.table.failing_rows import write_failing_rows
from capstan_ingestion.modalities.table.key_index import KeyIndex
from capstan_servicekit.jobs.api import Job

ROWS = "repeated-rows.json"


def run(job: Job) -> ComparedKeys:
    """One file after the other: memory holds the new file and the keys of one other."""
    given = job.read(KeysToCompare)
    table = pq.read_table(given.path)
    index = KeyIndex(table, given.keys)
    repeated = np.zeros(table.num_rows, dtype=np.bool_)
    made = ComparedKeys(0, {}, None, {}, {}, {}, {})
    for number, (partition, path) in enumerate(given.others.items()):
        job.progress(number, len(given.others), f"comparing keys with {partition}")
        dataset = pads.dataset(path, format="parquet")
        if not set(given.keys) <= set(dataset.schema.names):
            continue  # It is older than a column that is a key by now: null there, which equals no key.
        codes = index.find(dataset.to_table(columns=given.keys, filter=index.within(dataset.schema)))
        here = np.isin(index.codes, codes[codes >= 0])
        if not here.any():
            continue
        repeated |= here
        made.by_partition[partition] = int(here.sum())
        if given.replace:
            _shorten(pq.read_table(path), index, partition, given.event_time, job.scratch, made)
    rows = np.flatnonzero(repeated).astype(np.int64)
    if not len(rows):
        return made
    check = CheckResult(key="keys:unique-in-version", expectation="capstan:keys", severity="critical", outcome="failed")
    write_failing_rows(table, [Finding(check, rows)], job.scratch / ROWS, cap=given.max_failing_rows)
    return ComparedKeys(len(rows), made.by_partition, ROWS, made.left, made.left_rows, made.first, made.last)


def _shorten(
    table: pa.Table, index: KeyIndex, partition: str, event_time: str, scratch: Path, made: ComparedKeys
) -> None:
    left = table.filter(pa.array(index.find(table) < 0))
    made.left_rows[partition] = left.num_rows
    if not left.num_rows:
        return
    name = f"left-{len(made.left)}.parquet"
    write(left, scratch / name)
    made.left[partition] = name
    if event_time not in left.column_names:
        return
    times = pc.min_max(left[event_time]).as_py()
    if times["min"] is not None:
        made.first[partition], made.last[partition] = times["min"].isoformat(), times["max"].isoformat()
