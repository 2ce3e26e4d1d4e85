"""A job that needs too much memory or time is a fault of what it was asked, in a sentence, whichever job it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from capstan_contracts.loop import DatasetSpec
from capstan_ingestion.adapters.job_checker import JobChecker
from capstan_ingestion.domain.files import Form
from capstan_ingestion.settings import Settings
from capstan_servicekit.errors import InvalidData
from capstan_servicekit.jobs.pool import JobOutOfMemory, JobPool, JobTimedOut

Make = Callable[..., DatasetSpec]


class TooMuch:
    """A pool whose every job ends by `error`."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def call(self, *_: Any, **__: Any) -> Any:
        raise self.error


async def _progress(done: int, total: int, told: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize(
    ("error", "said", "setting"),
    [
        (JobOutOfMemory("m"), "needed more than 4096 MB", "CAPSTAN_JOB_MEMORY_MB"),
        (JobTimedOut("t"), "took longer than 90 s", "CAPSTAN_INGESTION_CHECK_TIMEOUT_S"),
    ],
)
async def test_each_job_says_what_was_too_much_and_what_to_do(
    error: Exception, said: str, setting: str, tmp_path: Path, make_dataset: Make
) -> None:
    settings = Settings(home=tmp_path, bus_url="memory:", job_memory_mb=4096, check_timeout_s=90)
    checker, file, dataset = JobChecker(cast("JobPool", TooMuch(error)), settings), tmp_path / "file", make_dataset()
    jobs: dict[str, Awaitable[object]] = {
        "The check of this batch": checker.check(
            "default", file, Form.parse("csv"), dataset, earlier={}, needed=[], folder=tmp_path, progress=_progress
        ),
        "Writing the dataset's files again": checker.widen("default", {"a": file}, {"x": "string"}, folder=tmp_path),
        "Comparing the keys of this batch": checker.compare_keys(
            "default", file, dataset, {"a": file}, folder=tmp_path
        ),
    }
    for noun, job in jobs.items():
        with pytest.raises(InvalidData) as refused:
            await job
        assert str(refused.value).startswith(noun) and str(refused.value).endswith(said)
        assert f"or raise {setting}." in refused.value.hint
