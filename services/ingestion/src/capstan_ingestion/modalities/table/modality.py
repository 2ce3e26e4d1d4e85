"""The modality `table`: a batch is rows with columns, one canonical Parquet file per partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc

from capstan_contracts.rest.ingestion import CheckResult, Verdict
from capstan_ingestion.domain.columns import Refusal, required_columns
from capstan_ingestion.domain.contract import Expectation, read_contract
from capstan_ingestion.domain.file_refused import FileRefused
from capstan_ingestion.domain.schema import wanted_types
from capstan_ingestion.media.packed import read_file
from capstan_ingestion.media.port import Reading, Remarks
from capstan_ingestion.modalities.port import STEPS, Arrived, Engine, Finding, Outcome, Progress
from capstan_ingestion.modalities.table.canonical import canonical, columns_of, write
from capstan_ingestion.modalities.table.columns import (
    check_columns,
    check_keys,
    clocks_of,
    columns_kept,
    in_order,
    medium_spec,
    renamed,
    types_in_file,
    without_index,
)
from capstan_ingestion.modalities.table.doubts import doubts, remarks_of
from capstan_ingestion.modalities.table.failing_rows import write_failing_rows
from capstan_ingestion.modalities.table.row_rules import check_rows

CANONICAL: Final = "canonical.parquet"
FAILING_ROWS: Final = "failing-rows.json"


class Table:
    """Reads any medium, gives every column one of the dataset's types, and asks an engine about the contract."""

    kind: ClassVar[str] = "table"

    def check(self, arrived: Arrived, engine: Engine, progress: Progress) -> Outcome:
        """See the port."""
        dataset = arrived.dataset
        contract = read_contract(dataset.contract)
        progress(0, STEPS, "reading")
        rows = 0
        try:
            remarks = Remarks()
            read = _read(arrived, remarks)
            rows = read.num_rows
            table, notes = _fit(read, arrived, contract)
            notes += remarks_of(remarks, dataset)
        except FileRefused as refused:
            return _refused(refused.refusals, rows)
        progress(1, STEPS, "checking the contract")
        assert isinstance(dataset.contract, dict)
        findings = [*notes, *check_rows(table, dataset, contract), *engine.validate(table, dataset.contract, contract)]
        progress(3, STEPS, "writing")
        return _outcome(arrived, table, findings, engine.name())


def _read(arrived: Arrived, remarks: Remarks) -> pa.Table:
    types = types_in_file(arrived.dataset, arrived.earlier)

    def how(medium: str) -> Reading:
        spec = medium_spec(arrived.dataset, medium)
        return Reading(spec, arrived.limits, types, frozenset(arrived.dataset.ignore), remarks=remarks)

    return read_file(arrived.path, arrived.form, how, arrived.scratch)


def _fit(table: pa.Table, arrived: Arrived, contract: Sequence[Expectation]) -> tuple[pa.Table, list[Finding]]:
    """The table in canonical form, with every column that something reads, in the order of the earlier files."""
    dataset, earlier = arrived.dataset, arrived.earlier
    table, notes = without_index(table, dataset, earlier)
    required = required_columns(dataset, contract, arrived.needed)
    table = renamed(table, dataset.rename)
    check_columns(table.column_names, dataset, required, earlier)
    table, changes = in_order(table, dataset, required, earlier)
    notes += changes
    made = canonical(table, wanted_types(earlier, dataset.columns), clocks_of(dataset), declared=dataset.columns)
    check_keys(columns_of(made), dataset.keys)
    return made, [*notes, *doubts(table, made, dataset, earlier)]


def _outcome(arrived: Arrived, table: pa.Table, findings: Sequence[Finding], engine: str) -> Outcome:
    results = [check.result for check in findings]
    passed = all(result.outcome == "passed" for result in results if result.severity == "critical")
    failing = write_failing_rows(table, findings, arrived.scratch / FAILING_ROWS, cap=arrived.max_failing_rows)
    if passed:
        write(table, arrived.scratch / CANONICAL)
    times = pc.min_max(table[arrived.dataset.event_time]).as_py()
    return Outcome(
        verdict=Verdict(passed=passed, rows=table.num_rows, engine=engine, checks=results),
        columns=columns_kept(columns_of(table), wanted_types(arrived.earlier, arrived.dataset.columns)),
        event_time_min=times["min"],
        event_time_max=times["max"],
        canonical=CANONICAL if passed else None,
        failing_rows=FAILING_ROWS if failing else None,
        failing_total=failing,
    )


def _refused(refusals: Sequence[Refusal], rows: int) -> Outcome:
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
    return Outcome(Verdict(passed=False, rows=rows, engine="capstan", checks=checks))
