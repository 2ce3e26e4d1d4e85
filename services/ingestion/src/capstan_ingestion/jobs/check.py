"""Check one batch: read it once, refuse what is no dataset file, hold it against the contract, write it canonically."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import CheckResult, Verdict
from capstan_ingestion.domain.columns import Refusal, missing_columns, new_columns
from capstan_ingestion.domain.contract import Expectation, read_contract
from capstan_ingestion.jobs.canonical import canonical, columns_of, write
from capstan_ingestion.jobs.csv_file import read_csv
from capstan_ingestion.jobs.failing_rows import write_failing_rows
from capstan_ingestion.jobs.file_refused import FileRefused, Limits
from capstan_ingestion.jobs.parquet_file import read_parquet
from capstan_ingestion.jobs.row_rules import Found, check_rows
from capstan_servicekit.jobs.api import Job

STEPS = 4
CANONICAL = "canonical.parquet"
FAILING_ROWS = "failing-rows.json"


def run(job: Job) -> dict[str, Any]:
    """Input: dataset (spec), path, media, earlier (column -> type), limits. Output: verdict, figures, file names."""
    dataset = DatasetSpec.model_validate(job.input["dataset"])
    contract = read_contract(dataset.contract)
    job.progress(0, STEPS, "reading")
    rows = 0
    try:
        read = _read(job)
        rows = read.num_rows
        table = _fit(read, dataset, contract, job.input["earlier"])
    except FileRefused as refused:
        return _refused(refused.refusals, rows)
    job.progress(1, STEPS, "checking the contract")
    checks = [*check_rows(table, dataset, contract), *_held_against(table, dataset, contract)]
    job.progress(3, STEPS, "writing")
    return _outcome(job, dataset, table, checks)


def _read(job: Job) -> pa.Table:
    limits = Limits(job.input["max_columns"], job.input["max_table_bytes"])
    path = Path(job.input["path"])
    return read_csv(path, limits, job.input["earlier"]) if job.input["media"] == "csv" else read_parquet(path, limits)


def _fit(
    table: pa.Table, dataset: DatasetSpec, contract: Sequence[Expectation], earlier: Mapping[str, str]
) -> pa.Table:
    """The table in canonical form, with every column that something reads, in the order of the earlier files."""
    clocks = {column for column in (dataset.event_time, dataset.known_at) if column is not None}
    needed = {key: "the dataset (a key)" for key in dataset.keys} | dict.fromkeys(clocks, "the dataset (a clock)")
    names = table.column_names
    refusals = [*missing_columns(names, needed, contract, earlier), *new_columns(names, earlier)]
    if refusals:
        raise FileRefused(*refusals)
    if earlier:
        table = table.select(list(earlier))
    return canonical(table, earlier, clocks)


def _held_against(table: pa.Table, dataset: DatasetSpec, contract: Sequence[Expectation]) -> list[Found]:
    # Imported here, so that a file that cannot be read is refused before the ten seconds of the import.
    from capstan_ingestion.jobs.great_expectations_engine import validate

    document = dataset.contract
    assert isinstance(document, dict)
    return validate(table.to_pandas(), document, contract)


def _outcome(job: Job, dataset: DatasetSpec, table: pa.Table, checks: Sequence[Found]) -> dict[str, Any]:
    from capstan_ingestion.jobs.great_expectations_engine import ENGINE

    results = [check.result for check in checks]
    passed = all(result.outcome == "passed" for result in results if result.severity == "critical")
    verdict = Verdict(passed=passed, rows=table.num_rows, engine=ENGINE, checks=results)
    failing = write_failing_rows(table, checks, job.scratch / FAILING_ROWS, cap=job.input["max_failing_rows"])
    if passed:
        write(table, job.scratch / CANONICAL)
    times = pc.min_max(table[dataset.event_time]).as_py()
    return {
        "verdict": verdict.model_dump(mode="json"),
        "columns": columns_of(table),
        "event_time_min": times["min"].isoformat() if times["min"] else None,
        "event_time_max": times["max"].isoformat() if times["max"] else None,
        "canonical": CANONICAL if passed else None,
        "failing_rows": FAILING_ROWS if failing else None,
        "failing_total": failing,
    }


def _refused(refusals: Sequence[Refusal], rows: int) -> dict[str, Any]:
    """`rows` is 0 where the file could not be read at all."""
    checks = [
        CheckResult(
            key=f"{refusal.rule}:{refusal.column}" if refusal.column else refusal.rule,
            expectation=f"capstan:{refusal.rule}",
            column=refusal.column,
            severity="critical",
            outcome="failed",
            sentence=refusal.sentence,
        )
        for refusal in refusals
    ]
    verdict = Verdict(passed=False, rows=rows, engine="capstan", checks=checks)
    return {
        "verdict": verdict.model_dump(mode="json"),
        "columns": {},
        "event_time_min": None,
        "event_time_max": None,
        "canonical": None,
        "failing_rows": None,
        "failing_total": 0,
    }
