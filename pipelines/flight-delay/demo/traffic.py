"""Passengers' questions: flights of a month, asked over HTTP at their scheduled departure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from capstan_client.sdk import Capstan

ROWS_PER_REQUEST = 100
CONNECTIONS = 4


@dataclass
class Answered:
    """What came back."""

    rows: int
    requests: int
    seconds: float
    versions: set[int]
    ids: list[str]
    first: datetime
    last: datetime


def questions(month: Path, columns: list[str], rows: int) -> list[dict[str, Any]]:
    """Every n-th flight of a month in order of departure, `rows` of them at most, as request rows."""
    table = pq.read_table(month, columns=columns)
    table = table.take(pc.sort_indices(table, sort_keys=[("scheduled_departure", "ascending")]))
    every = max(1, -(-table.num_rows // rows))
    asked: list[dict[str, Any]] = table.take(list(range(0, table.num_rows, every))).to_pylist()
    for row in asked:
        for name, value in row.items():
            if isinstance(value, datetime):
                row[name] = value.isoformat().replace("+00:00", "Z")
    return asked


async def ask(capstan: Capstan, model: str, rows: list[dict[str, Any]]) -> Answered:
    """Predict all rows, a request per hundred, in order of departure, a few connections at a time."""
    started = time.monotonic()
    batches = list(_batches(rows))
    versions: set[int] = set()
    ids: list[list[str]] = [[] for _ in batches]
    todo: Iterator[tuple[int, list[dict[str, Any]]]] = iter(enumerate(batches))

    async def connection() -> None:
        for index, batch in todo:
            answer = await capstan.model_server.predict(model, batch)
            if len(answer["predictions"]) != len(batch) or len(answer["prediction_ids"]) != len(batch):
                raise AssertionError(f"asked {len(batch)} rows, got {len(answer['predictions'])} predictions")
            versions.add(int(answer["model_version"]))
            ids[index] = answer["prediction_ids"]

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return Answered(
        rows=len(rows), requests=len(batches), seconds=time.monotonic() - started, versions=versions,
        ids=[id_ for batch in ids for id_ in batch], first=_instant(rows[0]), last=_instant(rows[-1]),
    )  # fmt: skip


def _instant(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["scheduled_departure"])


def _batches(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), ROWS_PER_REQUEST):
        yield rows[start : start + ROWS_PER_REQUEST]
