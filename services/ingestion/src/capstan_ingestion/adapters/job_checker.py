"""Checks batches in the worker that has Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import Verdict
from capstan_ingestion.actions.ports import Checked, Progress
from capstan_ingestion.domain.files import Form
from capstan_ingestion.domain.jobs import CheckedFile, FileToCheck
from capstan_ingestion.settings import Settings
from capstan_servicekit.errors import InvalidData
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobOutOfMemory, JobPool, JobTimedOut

CHECK = JobKind("ingestion", "capstan_ingestion.jobs.check:run", FileToCheck, CheckedFile)


class JobChecker:
    """The checker of the job group `ingestion`."""

    def __init__(self, jobs: JobPool, settings: Settings) -> None:
        self._jobs, self._settings = jobs, settings

    async def check(
        self,
        path: Path,
        form: Form,
        dataset: DatasetSpec,
        *,
        earlier: Mapping[str, str],
        folder: Path,
        progress: Progress,
    ) -> Checked:
        """Check the file in a worker. Too much memory or time is the batch's fault: InvalidData."""
        settings = self._settings
        given = FileToCheck(
            path=str(path),
            form=str(form),
            dataset=dataset.model_dump(mode="json"),
            earlier=dict(earlier),
            max_columns=settings.max_columns,
            max_table_bytes=settings.max_table_bytes,
            max_failing_rows=settings.max_failing_rows,
        )
        try:
            checked = await self._jobs.call(
                CHECK, given, scratch=folder, timeout_s=settings.check_timeout_s, progress=progress
            )
        except JobOutOfMemory as error:
            raise InvalidData(
                f"The check of this batch needed more than {settings.job_memory_mb} MB",
                hint="Send the rows in smaller batches, or raise CAPSTAN_JOB_MEMORY_MB.",
            ) from error
        except JobTimedOut as error:
            raise InvalidData(
                f"The check of this batch took longer than {settings.check_timeout_s:g} s",
                hint="Send the rows in smaller batches, or raise CAPSTAN_INGESTION_CHECK_TIMEOUT_S.",
            ) from error
        return _in_folder(checked, folder)


def _in_folder(checked: CheckedFile, folder: Path) -> Checked:
    return Checked(
        verdict=Verdict.model_validate(checked.verdict),
        columns=checked.columns,
        event_time_min=_instant(checked.event_time_min),
        event_time_max=_instant(checked.event_time_max),
        canonical=folder / checked.canonical if checked.canonical else None,
        failing_rows=folder / checked.failing_rows if checked.failing_rows else None,
        failing_total=checked.failing_total,
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
