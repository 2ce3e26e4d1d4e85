"""Checks batches in the worker that has Great Expectations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import Verdict
from capstan_ingestion.actions.ports import Checked, LeftRows, Progress, RepeatedKeys
from capstan_ingestion.domain.files import Form
from capstan_ingestion.domain.jobs import (
    CheckedFile,
    ComparedKeys,
    FilesToWiden,
    FileToCheck,
    KeysToCompare,
    LeftFile,
    WidenedFiles,
)
from capstan_ingestion.settings import Settings
from capstan_servicekit.errors import InvalidData
from capstan_servicekit.jobs.api import Given, JobKind, Made
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.pool import JobOutOfMemory, JobPool, JobTimedOut

CHECK = JobKind("ingestion", "capstan_ingestion.jobs.check:run", FileToCheck, CheckedFile)
WIDEN = JobKind("ingestion", "capstan_ingestion.jobs.widen_files:run", FilesToWiden, WidenedFiles)
COMPARE = JobKind("ingestion", "capstan_ingestion.jobs.compare_keys:run", KeysToCompare, ComparedKeys)


_LEFT = TypeAdapter(LeftFile)


@dataclass(frozen=True)
class _What:
    """A job in the sentence that says that it was too much, and what makes less of it."""

    noun: str
    remedy: str


_CHECKING = _What("The check of this batch", "Send the rows in smaller batches")
_WIDENING = _What(
    "Writing the dataset's files again with the types that are declared by now",
    "Take the change under `columns` back",
)
_COMPARING = _What(
    "Comparing the keys of this batch with those of the other partitions",
    "Send the rows in smaller batches, make the event time one of the keys (files of other times are not read then)",
)


class JobChecker:
    """The checker of the job group `ingestion`."""

    def __init__(self, jobs: JobPool, settings: Settings) -> None:
        self._jobs, self._settings = jobs, settings

    async def check(
        self,
        project: str,
        path: Path,
        form: Form,
        dataset: DatasetSpec,
        *,
        earlier: Mapping[str, str],
        needed: Sequence[str],
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
            needed=list(needed),
            max_columns=settings.max_columns,
            max_table_bytes=settings.max_table_bytes,
            max_failing_rows=settings.max_failing_rows,
        )
        checked = await self._call(project, CHECK, given, _CHECKING, folder, [path], progress)
        return _in_folder(checked, folder)

    async def widen(
        self, project: str, files: Mapping[str, Path], columns: Mapping[str, str], *, folder: Path
    ) -> Mapping[str, Path]:
        """Write them again in the worker. Errors as in `check`."""
        given = FilesToWiden({partition: str(file) for partition, file in files.items()}, dict(columns))
        widened = await self._call(project, WIDEN, given, _WIDENING, folder, files.values())
        return {partition: made_file(folder, name) for partition, name in widened.files.items()}

    async def compare_keys(
        self, project: str, path: Path, dataset: DatasetSpec, others: Mapping[str, Path], *, folder: Path
    ) -> RepeatedKeys:
        """Compare in the worker: a file of a large dataset may have millions of keys. Errors as in `check`."""
        given = KeysToCompare(
            path=str(path),
            keys=dataset.keys,
            event_time=dataset.event_time,
            others={partition: str(file) for partition, file in others.items()},
            replace=dataset.on_repeated_keys == "replace",
            max_failing_rows=self._settings.max_failing_rows,
        )
        compared = await self._call(project, COMPARE, given, _COMPARING, folder, [path, *others.values()])
        left = {
            partition: _left_rows(_LEFT.validate_python(fields), folder) for partition, fields in compared.left.items()
        }
        failing = made_file(folder, compared.failing_rows) if compared.failing_rows else None
        return RepeatedKeys(compared.rows, compared.by_partition, failing, left)

    async def _call(
        self,
        project: str,
        kind: JobKind[Given, Made],
        given: Given,
        what: _What,
        folder: Path,
        readable: Iterable[Path],
        progress: Progress | None = None,
    ) -> Made:
        settings = self._settings
        try:
            return await self._jobs.call(
                kind,
                given,
                project=project,
                scratch=folder,
                readable=readable,
                timeout_s=settings.check_timeout_s,
                progress=progress,
            )
        except JobOutOfMemory as error:
            raise InvalidData(
                f"{what.noun} needed more than {settings.job_memory_mb} MB",
                hint=f"{what.remedy}, or raise CAPSTAN_JOB_MEMORY_MB.",
            ) from error
        except JobTimedOut as error:
            raise InvalidData(
                f"{what.noun} took longer than {settings.check_timeout_s:g} s",
                hint=f"{what.remedy}, or raise CAPSTAN_INGESTION_CHECK_TIMEOUT_S.",
            ) from error


def _in_folder(checked: CheckedFile, folder: Path) -> Checked:
    return Checked(
        verdict=Verdict.model_validate(checked.verdict),
        columns=checked.columns,
        event_time_min=_instant(checked.event_time_min),
        event_time_max=_instant(checked.event_time_max),
        canonical=made_file(folder, checked.canonical) if checked.canonical else None,
        failing_rows=made_file(folder, checked.failing_rows) if checked.failing_rows else None,
        failing_total=checked.failing_total,
    )


def _left_rows(left: LeftFile, folder: Path) -> LeftRows:
    file = made_file(folder, left.file) if left.file else None
    return LeftRows(file, left.rows, _instant(left.first), _instant(left.last))


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
