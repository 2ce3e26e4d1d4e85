"""Any column name works in a contract and in the list of failing rows, also those that the engine uses itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_testkit.harness import job_pythons

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

NAMES = (
    "index", "level_0", "_row", "_checks", "item", "values", "T", "size", "count", "shape", "columns", "dtypes", "loc",
    "filename", "file_row_number", "capstan_position", "unexpected", "domain", "column", "batch_id", "id", "True",
    "None", "1", "x y", "größe", "a.b", "`tick`", 'quo"te', "per%cent", "cur{ly}", "$dollar", "select", "🙂",
)  # fmt: skip
PROGRAM = """
import json, sys
import pyarrow.parquet as pq
from capstan_ingestion.domain.contract import read_contract
from capstan_ingestion.jobs.great_expectations_engine import validate
from capstan_ingestion.modalities.table.failing_rows import write_failing_rows
from pathlib import Path
document, table = json.load(open(sys.argv[2])), pq.read_table(sys.argv[1])
found = validate(table, document, read_contract(document))
write_failing_rows(table, found, Path(sys.argv[3]), cap=10)
print(json.dumps([[each.result.key, each.result.outcome, each.rows.tolist()] for each in found]))
"""


def test_contracts_and_failing_rows_hold_for_every_name(tmp_path: Path) -> None:
    rows, suite, failing = tmp_path / "rows.parquet", tmp_path / "suite.json", tmp_path / "failing.json"
    pq.write_table(pa.table({name: [1, 2, 2, None] for name in NAMES}), rows)
    kinds: dict[str, tuple[dict[str, object], list[int] | None]] = {
        "column_values_to_be_between": ({"min_value": 2}, [0]),
        "column_values_to_not_be_null": ({}, [3]),
        "column_values_to_be_unique": ({}, [1, 2]),
        "column_values_to_be_in_set": ({"value_set": [2]}, [0]),
        "column_values_to_be_of_type": ({"type_": "int64"}, None),
    }
    asked = [
        {"type": f"expect_{kind}", "kwargs": {"column": name, **kwargs}, "meta": {"key": f"{name}|{kind}"}}
        for name in NAMES
        for kind, (kwargs, _) in kinds.items()
    ]
    suite.write_text(json.dumps({"name": "names", "expectations": asked}))
    command = [job_pythons()["ingestion"], "-c", PROGRAM, str(rows), str(suite), str(failing)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    results = {key: (outcome, places) for key, outcome, places in json.loads(done.stdout.splitlines()[-1])}
    expected = {
        f"{name}|{kind}": ("passed", []) if places is None else ("failed", places)
        for name in NAMES
        for kind, (_, places) in kinds.items()
    }
    assert {key: results[key] for key in expected if results[key] != expected[key]} == {}
    shown = json.loads(failing.read_text())
    assert [row["_row"] for row in shown] == [0, 1, 2, 3], "the place in the file, whatever the columns are called"
    assert all(isinstance(row["_checks"], list) for row in shown)
    assert [(row["column:_row"], row["column:_checks"]) for row in shown] == [(1, 1), (2, 2), (2, 2), (None, None)]
    assert all(row[name] == row["column:_row"] for row in shown for name in NAMES if name not in ("_row", "_checks"))
