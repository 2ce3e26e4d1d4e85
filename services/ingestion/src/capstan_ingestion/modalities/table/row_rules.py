"""Rules that hold for every dataset, row by row: finite numbers, known event time, present and unique keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import CheckResult
from capstan_ingestion.domain.contract import Expectation, asks_not_null, asks_unique
from capstan_ingestion.modalities.port import Finding, Rows


def check_rows(table: pa.Table, dataset: DatasetSpec, contract: Sequence[Expectation]) -> Iterator[Finding]:
    """Each rule that some row breaks. Where the contract speaks of keys or nulls itself, the contract decides."""
    for name in table.column_names:
        if pa.types.is_floating(table[name].type):
            yield from _infinite(table, name)
    needed = {key: "a key" for key in dataset.keys} | {dataset.event_time: "the event time"}
    for name, role in needed.items():
        if not asks_not_null(contract, name):
            yield from _nulls(table, name, role)
    if not asks_unique(contract, dataset.keys):
        yield from _repeated(table, dataset.keys)


def _places(mask: pa.ChunkedArray | pa.Array) -> Rows:
    flags = pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return np.flatnonzero(flags).astype(np.int64)


def _infinite(table: pa.Table, name: str) -> Iterator[Finding]:
    rows = _places(pc.is_inf(table[name]))
    if len(rows):
        text = f"{name}: {len(rows):,} of {table.num_rows:,} rows are infinite, the first is row {rows[0]:,}"
        yield _failed(f"{name}:finite", "finite-values", name, rows, table, text)


def _nulls(table: pa.Table, name: str, role: str) -> Iterator[Finding]:
    if table[name].null_count:
        rows = _places(pc.is_null(table[name]))
        text = f"{name}: {len(rows):,} of {table.num_rows:,} rows are null, but it is {role}"
        yield _failed(f"{name}:present", "values-present", name, rows, table, text)


def _repeated(table: pa.Table, keys: list[str]) -> Iterator[Finding]:
    codes = np.zeros(table.num_rows, dtype=np.int64)
    for key in keys:
        values = table[key].combine_chunks().dictionary_encode(null_encoding="encode")
        # Both factors are below the number of rows, so their product stays far below 2**63.
        codes = codes * len(values.dictionary) + values.indices.to_numpy()
        codes = np.unique(codes, return_inverse=True)[1]
    rows = np.flatnonzero(np.bincount(codes)[codes] > 1).astype(np.int64)
    if len(rows):
        text = f"{', '.join(keys)}: {len(rows):,} of {table.num_rows:,} rows share their key with another row"
        yield _failed("keys:unique", "keys-unique", keys[0] if len(keys) == 1 else None, rows, table, text)


def _failed(key: str, rule: str, column: str | None, rows: Rows, table: pa.Table, text: str) -> Finding:
    result = CheckResult(
        key=key,
        expectation=f"capstan:{rule}",
        column=column,
        severity="critical",
        outcome="failed",
        failing_rows=len(rows),
        failing_share=len(rows) / table.num_rows if table.num_rows else 0.0,
        sentence=text,
    )
    return Finding(result, rows)
