"""Builders of this service's tests."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.loop import DatasetSpec

Table = dict[str, Any]


def contract(*, high: int = 5000) -> dict[str, Any]:
    return {
        "name": "trips",
        "expectations": [
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "distance", "min_value": 17, "max_value": high},
                "severity": "critical",
            },
            {
                "type": "expect_column_values_to_not_be_null",
                "kwargs": {"column": "note", "mostly": 0.5},
                "severity": "warning",
            },
        ],
        "meta": {"great_expectations_version": "1.24.1"},
    }


def spec(name: str = "trips", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "contract": contract(),
        "keys": ["id"],
        "event_time": "at",
        **changes,
    }


def columns(rows: int = 10, *, start: int = 0, **changes: Any) -> Table:
    at = datetime(2013, 1, 1, tzinfo=UTC)
    return {
        "id": list(range(start, start + rows)),
        "at": [at + timedelta(minutes=start + index) for index in range(rows)],
        "distance": [100.0 + index for index in range(rows)],
        "note": ["x"] * rows,
        **changes,
    }


def parquet(table: Table | None = None, **changes: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({**(columns() if table is None else table), **changes}), sink)
    return sink.getvalue()


@pytest.fixture
def make_spec() -> Callable[..., dict[str, Any]]:
    return spec


@pytest.fixture
def make_dataset() -> Callable[..., DatasetSpec]:
    return lambda **changes: DatasetSpec.model_validate(spec(**changes))


@pytest.fixture
def make_contract() -> Callable[..., dict[str, Any]]:
    return contract


@pytest.fixture
def make_columns() -> Callable[..., Table]:
    return columns


@pytest.fixture
def make_parquet() -> Callable[..., bytes]:
    return parquet
