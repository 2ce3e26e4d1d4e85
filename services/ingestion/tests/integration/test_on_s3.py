"""Ingestion with its objects in a bucket: the same commits, and a DVC remote that a DVC user pulls from."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from obstore.store import S3Store

from capstan_ingestion.app import build
from capstan_ingestion.settings import Settings
from capstan_testkit.harness import Harness, running

if TYPE_CHECKING:
    from capstan_testkit.containers import S3Server

pytestmark = [pytest.mark.containers, pytest.mark.integration, pytest.mark.timeout(180)]
BASE = "/v1/projects/default"

# What dvc-s3 does with a remote, less the network: its objects lie under files/md5, and checkout reads them from there.
CHECKOUT = """
import sys
from dvc_data.hashfile import load
from dvc_data.hashfile.build import build
from dvc_data.hashfile.checkout import checkout
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.state import StateNoop
from dvc_objects.fs.local import LocalFileSystem

remote, digest, out = sys.argv[1:]
fs = LocalFileSystem()
store = HashFileDB(fs, remote + "/files/md5", state=StateNoop(), hash_name="md5")
checkout(out, fs, load(store, HashInfo("md5", digest)), store)
assert build(store, out, fs, "md5", dry_run=True)[2].hash_info.value == digest
"""


@pytest.fixture
def prefix() -> str:
    return f"ingestion/{uuid.uuid4().hex}"


@pytest.fixture
async def service(s3: S3Server, prefix: str, tmp_path: Path) -> AsyncIterator[Harness]:
    async with running(Settings, build, tmp_path / "home", **s3.settings(prefix)) as harness:
        yield harness


async def send(service: Harness, name: str, content: bytes, partition: str) -> dict[str, Any]:
    """Upload a batch and wait until it is decided."""
    answer = await service.operator.post(
        f"{BASE}/datasets/{name}/batches", content=content,
        params={"partition": partition, "filename": f"{partition}.parquet"},
    )  # fmt: skip
    assert answer.status_code in (200, 202), answer.text

    async def decided() -> Any:
        batch = (await service.viewer.get(f"{BASE}/batches/{answer.json()['id']}")).json()
        return batch if batch["state"] in ("committed", "quarantined", "failed") else None

    found: dict[str, Any] = await service.until(decided, timeout=120)
    return found


def download(s3: S3Server, prefix: str, folder: Path) -> list[str]:
    """Everything below a prefix, as files; their names."""
    store = S3Store(
        s3.bucket, prefix=prefix, endpoint=s3.endpoint, region="us-east-1", access_key_id=s3.access_key_id,
        secret_access_key=s3.secret_access_key, virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )  # fmt: skip
    names = [one["path"] for page in obstore.list(store) for one in page]
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(obstore.get(store, name).bytes())
    return names


async def test_versions_lie_in_the_bucket_and_a_dvc_user_gets_them(
    service: Harness, s3: S3Server, prefix: str, make_spec: Callable[..., Any], make_parquet: Callable[..., bytes],
    make_columns: Callable[..., Any], tmp_path: Path,
) -> None:  # fmt: skip
    name = "trips"
    made = await service.admin.put(f"{BASE}/datasets/{name}", json=make_spec(name))
    assert made.is_success, made.text
    for number in range(2):
        batch = await send(service, name, make_parquet(make_columns(5, start=number * 5)), f"p{number}")
        assert batch["state"] == "committed", batch
    newest = (await service.viewer.get(f"{BASE}/datasets/{name}")).json()["latest"]
    manifest = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{newest}")).json()
    pointer = (await service.viewer.get(f"{BASE}/datasets/{name}/versions/{newest}/dvc")).text
    digest = pointer.splitlines()[1].removeprefix("- md5: ")
    assert not (service.home / "objects").exists()

    remote = tmp_path / "remote"
    names = await asyncio.to_thread(download, s3, f"{prefix}/default/dvc", remote)
    assert all(one.startswith("files/md5/") for one in names)
    out = tmp_path / "out"
    python = service.kit.settings.job_pythons["ingestion"]
    process = await asyncio.create_subprocess_exec(python, "-c", CHECKOUT, str(remote), digest, str(out))
    assert await process.wait() == 0
    assert len(manifest["files"]) == 2
    for file in manifest["files"]:
        assert (out / file["path"]).read_bytes() == await service.kit.objects.read("default", file["sha256"])


async def test_it_is_ready_only_with_its_bucket(service: Harness, s3: S3Server, tmp_path: Path) -> None:
    assert (await service.anonymous.get("/readyz")).status_code == 200
    wrong = s3.settings() | {"object_store_url": "s3://another-bucket"}
    async with running(Settings, build, tmp_path / "other", **wrong) as other:
        answer = await other.anonymous.get("/readyz")
    assert answer.status_code == 503
    (sentence,) = answer.json()["missing"]
    assert sentence.startswith("object store: bucket 'another-bucket' is not there")
    assert "CAPSTAN_OBJECT_STORE_URL" in sentence
