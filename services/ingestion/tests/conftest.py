"""Builders of this service's tests."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import CheckResult
from capstan_ingestion.domain.contract import Expectation
from capstan_ingestion.domain.file_refused import Limits
from capstan_ingestion.domain.files import Form
from capstan_ingestion.modalities.port import MODALITIES, Arrived, Finding, Outcome

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


@dataclass
class RowOne:
    """An engine that finds one expectation of each asked severity failed on row 1, and is quick."""

    severities: Sequence[str] = ()
    asked: int = 0
    seen: pa.Table | None = None

    def name(self) -> str:
        return "row one"

    def validate(self, table: pa.Table, document: Mapping[str, Any], contract: Sequence[Expectation]) -> list[Finding]:
        self.asked, self.seen = self.asked + 1, table
        return [Finding(failed(severity), np.array([1], np.int64)) for severity in self.severities]


def failed(severity: str) -> CheckResult:
    said = {"key": severity, "expectation": "x", "outcome": "failed", "failing_rows": 1, "sentence": "bad"}
    return CheckResult.model_validate({**said, "severity": severity})


@dataclass(frozen=True)
class Made:
    outcome: Outcome
    scratch: Path
    engine: RowOne = field(repr=False)

    @property
    def asked(self) -> int:
        return self.engine.asked

    @property
    def seen(self) -> pa.Table:
        assert self.engine.seen is not None, self.sentences
        return self.engine.seen

    @property
    def sentences(self) -> dict[str, str]:
        return {check.key: check.sentence for check in self.outcome.verdict.checks}


@pytest.fixture
def arrive(tmp_path: Path, make_dataset: Callable[..., DatasetSpec]) -> Callable[..., Made]:
    """Check bytes as a batch; `form`, `earlier`, `kind`, `severities`, and changes to the dataset."""
    count = itertools.count()

    def check(
        content: bytes, form: str = "parquet", *, kind: str = "table", severities: Sequence[str] = (),
        earlier: Mapping[str, str] | None = None, needed: Sequence[str] = (), **changes: Any,
    ) -> Made:  # fmt: skip
        scratch = tmp_path / f"scratch{next(count)}"
        scratch.mkdir()
        (scratch / "file").write_bytes(content)
        plain = {"name": "d", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "id"}}]}
        dataset = make_dataset(**{"contract": plain, **changes})
        limits, engine = Limits(100, 1 << 24), RowOne(severities)
        arrived = Arrived(scratch / "file", Form.parse(form), dataset, earlier or {}, limits, 10, scratch, needed)
        return Made(MODALITIES.get(kind)().check(arrived, engine, lambda done, total, told: None), scratch, engine)

    return check
