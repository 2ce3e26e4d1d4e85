"""The DVC stores under the suite of all version stores, with DVC's own library in a worker."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from capstan_ingestion.adapters.dvc_s3 import DvcS3Store
from capstan_ingestion.adapters.dvc_store import DvcFolderStore
from capstan_ingestion.settings import Settings
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.bucket import S3Bucket
from capstan_testkit.harness import job_pythons
from capstan_testkit.suites.version_stores import VersionStoreBehaviour

if TYPE_CHECKING:
    from capstan_testkit.containers import S3Server

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(120),
    pytest.mark.skipif("ingestion" not in job_pythons(), reason="ingestion's job environment is not installed"),
]


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[JobPool]:
    pool = JobPool({"ingestion": job_pythons()["ingestion"]}, tmp_path / "jobs")
    yield pool
    await pool.close()


class TestDvcFolder(VersionStoreBehaviour):
    @pytest.fixture
    def store(self, pool: JobPool, tmp_path: Path) -> DvcFolderStore:
        return DvcFolderStore(tmp_path / "objects", pool)


@pytest.mark.containers
class TestDvcS3(VersionStoreBehaviour):
    @pytest.fixture
    def store(self, pool: JobPool, s3: S3Server, tmp_path: Path) -> DvcS3Store:
        fields = s3.settings(f"version-stores/{uuid.uuid4().hex}")
        settings = Settings(home=tmp_path / "home", bus_url="memory:", **fields)
        return DvcS3Store(S3Bucket.from_settings(settings), pool)
