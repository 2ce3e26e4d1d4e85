"""The rows that broke a check, as people read them: place in the file, keys of the checks, and the values."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa

from capstan_ingestion.modalities.port import NO_ROWS, Finding, Rows

_LONGEST = 2000


def write_failing_rows(table: pa.Table, checks: Sequence[Finding], path: Path, *, cap: int) -> int:
    """Write up to `cap` failing rows as a JSON list, rows of critical checks first; how many rows fail in all."""
    failed = [check for check in checks if check.result.outcome == "failed" and len(check.rows)]
    critical = _union([check.rows for check in failed if check.result.severity == "critical"])
    every = _union([check.rows for check in failed])
    chosen = np.sort(np.concatenate([critical, np.setdiff1d(every, critical)])[:cap])
    keys: dict[int, list[str]] = {int(row): [] for row in chosen}
    for check in failed:
        for row in np.intersect1d(chosen, check.rows):
            keys[int(row)].append(check.result.key)
    values = table.take(pa.array(chosen)).to_pylist()
    rows = [
        {"_row": row, "_checks": keys[row], **{_shown(name): _plain(value) for name, value in each.items()}}
        for row, each in zip(keys, values, strict=True)
    ]
    path.write_text(json.dumps(rows, ensure_ascii=False, separators=(",", ":"), allow_nan=False), encoding="utf-8")
    return len(every)


def _shown(name: str) -> str:
    """A column's name beside those that we give."""
    return f"column:{name}" if name in ("_row", "_checks") else name


def _union(parts: list[Rows]) -> Rows:
    return np.unique(np.concatenate(parts)) if parts else NO_ROWS


def _plain(value: object) -> object:
    """A value as JSON has it: instants as ISO 8601, decimals and durations as text, bytes as hex."""
    if isinstance(value, str):
        return value[:_LONGEST]
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value[: _LONGEST // 2].hex()
    if isinstance(value, Decimal | timedelta) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value[:_LONGEST]]
    return value
