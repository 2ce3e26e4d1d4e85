"""Check one batch: by the modality of its dataset, with Great Expectations as the engine of its contract."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from capstan_contracts.loop import DatasetSpec
from capstan_ingestion.domain.contract import Document, Expectation
from capstan_ingestion.domain.file_refused import Limits
from capstan_ingestion.domain.files import Form
from capstan_ingestion.domain.jobs import CheckedFile, FileToCheck
from capstan_ingestion.modalities.port import MODALITIES, Arrived, Finding
from capstan_servicekit.jobs.api import Job, need

WARM = ("capstan_ingestion.jobs.great_expectations_engine",)
"""Imported when it is first asked for: a file that cannot be read is refused before those ten seconds."""


class GreatExpectations:
    """The engine."""

    def name(self) -> str:
        """The package's name and version."""
        need(*WARM)
        from capstan_ingestion.jobs.great_expectations_engine import ENGINE

        return ENGINE

    def validate(self, table: pa.Table, document: Document, contract: Sequence[Expectation]) -> list[Finding]:
        """See the port."""
        need(*WARM)
        from capstan_ingestion.jobs.great_expectations_engine import validate

        return validate(table, document, contract)


def run(job: Job) -> CheckedFile:
    """Read the file, hold it against its dataset, and write what may be committed into scratch."""
    given = job.read(FileToCheck)
    dataset = DatasetSpec.model_validate(given.dataset)
    arrived = Arrived(
        path=Path(given.path),
        form=Form.parse(given.form),
        dataset=dataset,
        earlier=given.earlier,
        needed=given.needed,
        limits=Limits(given.max_columns, given.max_table_bytes),
        max_failing_rows=given.max_failing_rows,
        scratch=job.scratch,
    )
    outcome = MODALITIES.get(dataset.modality.kind)().check(arrived, GreatExpectations(), job.progress)
    first, last = outcome.event_time_min, outcome.event_time_max
    return CheckedFile(
        verdict=outcome.verdict.model_dump(mode="json"),
        columns=dict(outcome.columns),
        event_time_min=first.isoformat() if first else None,
        event_time_max=last.isoformat() if last else None,
        canonical=outcome.canonical,
        failing_rows=outcome.failing_rows,
        failing_total=outcome.failing_total,
    )
