"""The DVC store under the suite of all version stores, with DVC's own library in a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from capstan_ingestion.adapters.dvc_store import DvcFolderStore
from capstan_servicekit.jobs.pool import JobPool
from capstan_testkit.harness import job_pythons
from capstan_testkit.suites.version_stores import VersionStoreBehaviour

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(120),
    pytest.mark.skipif("ingestion" not in job_pythons(), reason="ingestion's job environment is not installed"),
]


class TestDvcFolder(VersionStoreBehaviour):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[DvcFolderStore]:
        pool = JobPool({"ingestion": job_pythons()["ingestion"]}, tmp_path / "jobs")
        yield DvcFolderStore(tmp_path / "objects", pool)
        await pool.close()
