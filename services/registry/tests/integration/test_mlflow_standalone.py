"""MLflow as a process of its own beside the registry, with its tables in PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from capstan_registry.adapters.mlflow_process import MlflowProcess
from capstan_registry.settings import Settings
from capstan_testkit.harness import job_pythons

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif("registry" not in job_pythons(), reason="the registry's job environment is not installed"),
]


async def test_it_serves_the_door_from_a_socket_and_keeps_runs_in_postgres(
    tmp_path: Path, new_postgres: Callable[[], str]
) -> None:
    socket = f"unix://{tmp_path / 'shared' / 'mlflow.sock'}"
    (tmp_path / "shared").mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "CAPSTAN_HOME": str(tmp_path / "home"),
        "CAPSTAN_JOB_PYTHONS": f'{{"registry": "{job_pythons()["registry"]}"}}',
        "CAPSTAN_REGISTRY_MLFLOW_URL": socket,
        "CAPSTAN_REGISTRY_MLFLOW_STORE_URL": new_postgres().replace("+asyncpg", "+psycopg2"),
    }
    command = [sys.executable, "-P", "-m", "capstan_registry", "serve-mlflow"]
    server = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    process = MlflowProcess(Settings(home=tmp_path / "registry", bus_url="memory:", mlflow_url=socket))
    try:
        async with process.using() as client:
            await _healthy(client, server)
            made = await client.post("/mlflow/api/2.0/mlflow/experiments/create", json={"name": "flights"})
            found = await client.get(
                "/mlflow/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "flights"}
            )
    finally:
        await process.close()
        os.killpg(server.pid, signal.SIGKILL)
        await server.wait()
    assert made.status_code == 200, made.text
    assert found.json()["experiment"]["experiment_id"] == made.json()["experiment_id"]
    assert not list((tmp_path / "home").rglob("mlflow.db"))


async def _healthy(client: httpx.AsyncClient, server: asyncio.subprocess.Process) -> None:
    for _ in range(900):
        assert server.returncode is None
        try:
            if (await client.get("/mlflow/health", timeout=5)).is_success:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.2)
    pytest.fail("MLflow's server did not answer within three minutes")


def test_without_a_socket_it_says_what_to_set() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "capstan_registry", "serve-mlflow"],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "CAPSTAN_REGISTRY_MLFLOW_URL must be unix:///" in done.stderr
    assert "Traceback" not in done.stderr
