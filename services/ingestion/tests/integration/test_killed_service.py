"""A service process that is killed in the middle of a check: after the next start the batch is committed, once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan_testkit.harness import job_pythons, write_principals

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
BASE = "/v1/projects/default"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def start(home: Path, port: int) -> asyncio.subprocess.Process:
    environment = {
        "PATH": os.environ["PATH"],
        "CAPSTAN_HOME": str(home),
        "CAPSTAN_PORT": str(port),
        "CAPSTAN_BUS_URL": "memory:",
        "CAPSTAN_LEASE_S": "1",
        "CAPSTAN_JOB_PYTHONS": json.dumps(job_pythons()),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "capstan_ingestion", "serve", env=environment, stderr=asyncio.subprocess.DEVNULL
    )


async def until(client: httpx.AsyncClient, path: str, condition: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(90):
        while True:
            try:
                answer = await client.get(path)
                if answer.status_code == 200 and condition(answer.json()):
                    return answer.json()
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)


async def test_a_killed_service_commits_once(tmp_path: Path, make_spec: Callable[..., Any], make_parquet: Any) -> None:
    token = write_principals(tmp_path / "secrets" / "principals.json")["admin"]
    port = free_port()
    process = await start(tmp_path, port)
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
        try:
            await until(client, "/readyz", lambda body: bool(body["ready"]))
            await client.put(f"{BASE}/datasets/trips", json=make_spec())
            up = f"{BASE}/datasets/trips/batches?partition=a&filename=a.parquet"
            batch = (await client.post(up, content=make_parquet())).json()["id"]
            await until(client, f"{BASE}/batches/{batch}", lambda body: bool(body["progress"]["done"] >= 1))
            process.send_signal(signal.SIGKILL)
            await process.wait()
            process = await start(tmp_path, port)
            found = await until(client, f"{BASE}/batches/{batch}", lambda body: body["state"] == "committed")
            versions = (await client.get(f"{BASE}/datasets/trips/versions")).json()["items"]
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
    assert [one["version"] for one in versions] == [found["version"]]
    with sqlite3.connect(tmp_path / "db" / "ingestion.db") as database:
        assert database.execute("SELECT count(*) FROM kit_outbox").fetchone() == (1,)
