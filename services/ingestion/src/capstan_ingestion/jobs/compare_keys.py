"""Find the rows of a new file whose keys other partitions of the dataset have."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from capstan_contracts.documents import JsonObject
from capstan_contracts.rest.ingestion import CheckResult
from capstan_ingestion.domain.jobs import ComparedKeys, KeysToCompare, LeftFile
from capstan_ingestion.domain.keys import UNIQUE_IN_VERSION
from capstan_ingestion.modalities.port import Finding
from capstan_ingestion.modalities.table.canonical import write
from capstan_ingestion.modalities.table.failing_rows import write_failing_rows
from capstan_ingestion.modalities.table.key_index import KeyIndex
from capstan_servicekit.jobs.api import Job, fields_of

ROWS = "repeated-rows.json"
Flags: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]


def run(job: Job) -> ComparedKeys:
    """One file after the other: memory holds the new file and the keys of one other."""
    given = job.read(KeysToCompare)
    table = pq.read_table(given.path)
    index = KeyIndex(table, given.keys)
    repeated = np.zeros(table.num_rows, dtype=np.bool_)
    by_partition: dict[str, int] = {}
    left: dict[str, JsonObject] = {}
    for number, (partition, path) in enumerate(given.others.items()):
        job.progress(number, len(given.others), f"comparing keys with {partition}")
        here = _shared(pads.dataset(path, format="parquet"), index, given.keys)
        if not here.any():
            continue
        repeated |= here
        by_partition[partition] = int(here.sum())
        if given.replace:
            name = f"left-{len(left)}.parquet"
            left[partition] = fields_of(_shortened(pq.read_table(path), index, given.event_time, job.scratch, name))
    rows = np.flatnonzero(repeated).astype(np.int64)
    failing = len(rows) > 0 and not given.replace
    if failing:
        check = CheckResult(key=UNIQUE_IN_VERSION, expectation="capstan:keys", severity="critical", outcome="failed")
        write_failing_rows(table, [Finding(check, rows)], job.scratch / ROWS, cap=given.max_failing_rows)
    return ComparedKeys(len(rows), by_partition, ROWS if failing else None, left)


def _shared(dataset: pads.Dataset, index: KeyIndex, keys: list[str]) -> Flags:
    """Which rows of the index have a key that a row of the dataset has."""
    if not set(keys) <= set(dataset.schema.names):
        # It is older than a column that is a key by now: null there, which equals no key.
        return np.zeros(len(index.codes), dtype=np.bool_)
    codes = index.find(dataset.to_table(columns=keys, filter=index.within(dataset.schema)))
    return np.isin(index.codes, codes[codes >= 0])


def _shortened(table: pa.Table, index: KeyIndex, event_time: str, scratch: Path, name: str) -> LeftFile:
    """The rows without those whose key the index has, written under `name`."""
    left = table.filter(pa.array(index.find(table) < 0))
    if not left.num_rows:
        return LeftFile(0)
    write(left, scratch / name)
    if event_time not in left.column_names:
        return LeftFile(left.num_rows, name)
    times = pc.min_max(left[event_time]).as_py()
    first, last = (None if time is None else time.isoformat() for time in (times["min"], times["max"]))
    return LeftFile(left.num_rows, name, first, last)
