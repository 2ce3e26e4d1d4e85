"""Any column name of a dataset works: also those that DuckDB and our own joins use themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.loop import FeatureServiceSpec, ViewSpec
from capstan_feature_store.domain.jobs import SetToJoin, ValueToExplain
from capstan_feature_store.domain.plans import service_plan, view_plan
from capstan_feature_store.jobs import explain, training_set
from capstan_servicekit.jobs.api import Job, fields_of

START = datetime(2013, 1, 1, tzinfo=UTC)
OURS = (
    "filename", "file_row_number", "file_index", "rowid", "i", "n", "t", "y", "labelled", "q0", "d0", "f0", "e", "k0",
    "batch", "path", "work", "located", "main", "select", "order", "Group", "row", "x y", "größe", "a.b", 'quo"te',
)  # fmt: skip


def write(path: Path, name: str, rows: int, start: int) -> str:
    at = [START + timedelta(hours=start + row) for row in range(rows)]
    columns: dict[str, Any] = {
        "id": list(range(start, start + rows)),
        "at": pa.array(at, pa.timestamp("us", "UTC")),
        "late": [row % 2 for row in range(rows)],
        name: [f"{name}{start + row}" for row in range(rows)],
    }
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return str(path)


@pytest.mark.parametrize("name", OURS)
def test_a_training_set_and_its_explanation_have_every_row_in_its_place(tmp_path: Path, name: str) -> None:
    files = [write(tmp_path / f"{place}.parquet", name, 5, place * 5) for place in range(3)]
    quoted = '"' + name.replace('"', '""') + '"'
    view = ViewSpec.model_validate(
        {
            "name": "seen", "dataset": "trips", "sql": f'SELECT id, "at", {quoted} AS text FROM trips',
            "keys": [{"name": "id", "dtype": "int64"}], "columns": [{"name": "text", "dtype": "string"}],
            "eventTime": "at",
        }
    )  # fmt: skip
    request = [{"name": "id", "dtype": "int64"}]
    if name.isidentifier() and name.isascii():
        request.append({"name": name, "dtype": "string"})
    service = FeatureServiceSpec.model_validate(
        {"name": "s", "labelTime": "at", "request": request, "lookups": [{"view": "seen", "keys": {"id": "id"}}]}
    )
    given = SetToJoin(
        datasets={"trips": files}, dataset="trips", files=[[f"{place}.parquet", "a" * 64] for place in range(3)],
        label="late", service=service_plan(service), views=[view_plan(view)], as_known=False, memory_mb=500, threads=2,
    )  # fmt: skip
    (tmp_path / "join").mkdir()
    made = training_set.run(Job(fields_of(given), tmp_path / "join"))
    rows = pq.read_table(made.path).to_pylist()
    assert [(row["_file"], row["_row"]) for row in rows] == [
        (f"{place}.parquet", row) for place in range(3) for row in range(5)
    ]
    assert [row["seen__text"] for row in rows] == [f"{name}{number}" for number in range(15)]
    if len(request) == 2:
        assert [row[name] for row in rows] == [f"{name}{number}" for number in range(15)]
    (tmp_path / "explain").mkdir()
    asked = ValueToExplain(view_plan(view), files, {"id": 7}, int((START + timedelta(hours=20)).timestamp() * 1e6), 5)
    ((file, row, values),) = explain.run(Job(fields_of(asked), tmp_path / "explain")).rows
    assert (file, row, values[name]) == (1, 2, f"{name}7")
