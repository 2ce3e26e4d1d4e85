"""A real MLflow server behind the proxy: started on demand, used by its own client and by a browser's calls."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from capstan_contracts.events import RunFinished, VersionPromoted
from capstan_contracts.ids import Urn, uuid7
from capstan_contracts.work import State
from capstan_registry.adapters.mlflow_catalogue import MlflowCatalogue
from capstan_registry.adapters.mlflow_process import MlflowProcess
from capstan_registry.app import build
from capstan_registry.settings import Settings
from capstan_servicekit.errors import NotReady
from capstan_testkit.harness import Harness, job_pythons, running
from capstan_testkit.suites.catalogues import CatalogueBehaviour

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif("registry" not in job_pythons(), reason="the registry's job environment is not installed"),
]

CLIENT = """
import sys, mlflow
from mlflow.exceptions import MlflowException
client = mlflow.MlflowClient()
experiment = client.create_experiment("flights")
with mlflow.start_run(experiment_id=experiment) as run:
    mlflow.log_param("leaves", 31)
    mlflow.log_metrics({"auc": 0.75, "logloss": 0.5})
    mlflow.log_text("hello", "notes/a note.txt")
found = client.search_runs([experiment], "metrics.auc > 0.7")
assert [r.info.run_id for r in found] == [run.info.run_id], found
assert client.list_artifacts(run.info.run_id, "notes")[0].path == "notes/a note.txt"
assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/a note.txt") == "hello"
version = client.get_model_version_by_alias("flight-delay", "champion")
assert version.version == "1" and version.tags["capstan.run"] == sys.argv[1], version
client.set_registered_model_alias("flight-delay", "best", "1")
def refused(call, *args):
    try:
        call(*args)
    except MlflowException as error:
        print(error)
    else:
        raise SystemExit("not refused")
refused(client.set_registered_model_alias, "flight-delay", "champion", "1")
refused(client.delete_registered_model_alias, "flight-delay", "champion")
refused(client.delete_model_version, "flight-delay", "1")
refused(client.delete_registered_model, "flight-delay")
refused(client.rename_registered_model, "flight-delay", "mine")
refused(client.create_model_version, "flight-delay", f"runs:/{run.info.run_id}/model", run.info.run_id)
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def h(tmp_path_factory: pytest.TempPathFactory, willing_peers: Any) -> AsyncIterator[Harness]:
    folder = tmp_path_factory.mktemp("registry")
    async with running(Settings, build, folder, peers=willing_peers, resamples=1000, mlflow_start_s=120) as harness:
        yield harness


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(h: Harness) -> AsyncIterator[int]:
    """The same application on a real port, for clients that are other processes."""
    sock = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(h.app, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    yield int(sock.getsockname()[1])
    server.should_exit = True
    await serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(
    h: Harness, tmp_path_factory: pytest.TempPathFactory, make_package: Any, make_holdout: Any, loop_body: Any
) -> str:
    """A run whose package was registered and promoted; its id."""
    folder, run, loop = tmp_path_factory.mktemp("made"), uuid7(), "flight-delay"
    body = loop_body(gates=[{"metric": "auc", "min": 0.6}])
    assert (await h.admin.put(f"/v1/projects/default/loops/{loop}", json=body)).status_code == 200
    event = RunFinished(
        run=run,
        loop=loop,
        state=State.SUCCEEDED,
        reason="manual",
        dataset="flights",
        dataset_version="cd" * 32,
        code="ab" * 32,
        package=await h.kit.objects.put_file("default", make_package(folder / "package")),
        holdout=await h.kit.objects.put_file("default", make_holdout(folder / "holdout.parquet")),
    )
    await h.publish(event, subject=Urn("default", "run", run))

    async def promoted() -> bool:
        return bool(h.published(VersionPromoted))

    await h.until(promoted, timeout=150)

    async def shown() -> bool:
        answer = await h.viewer.get("/mlflow/api/2.0/mlflow/registered-models/get", params={"name": loop})
        aliases = answer.json().get("registered_model", {}).get("aliases", [])
        return bool(aliases == [{"alias": "champion", "version": "1"}])

    await h.until(shown, timeout=30)
    return run


def group_of(h: Harness) -> int:
    return int((h.home / "mlflow" / "server.pid").read_text())


async def test_the_official_client_works_and_is_told_what_it_may_not(h: Harness, port: int, run: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}/mlflow",
        "MLFLOW_TRACKING_TOKEN": h.tokens["operator"],
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    client = await asyncio.create_subprocess_exec(
        job_pythons()["registry"],
        "-c",
        CLIENT,
        run,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await client.communicate()
    said = output.decode()
    assert client.returncode == 0, said
    assert said.count("PERMISSION_DENIED") == 6
    assert "follows the ledger and is not moved by hand" in said
    assert "POST /v1/projects/default/models/flight-delay/versions/1/promotions" in said
    assert "registered by the runs of its loop" in said


async def test_a_browser_gets_the_page_its_files_and_its_searches(h: Harness, run: str) -> None:
    link = (await h.viewer.post("/v1/session-links", params={"path": "/mlflow/"})).json()["url"]
    await h.anonymous.get(link)
    page = await h.anonymous.get("/mlflow/")
    assert page.status_code == 200
    assert "<title>MLflow</title>" in page.text
    found = re.search(r'src="(static-files/[^"]+\.js)"', page.text)
    assert found is not None
    script = await h.anonymous.get(f"/mlflow/{found[1]}")
    assert script.status_code == 200
    assert "javascript" in script.headers["content-type"]
    assert len(script.content) > 10_000
    searches: list[tuple[str, str, Any]] = [
        ("GET", "2.0/mlflow/registered-models/search", None),
        ("POST", "2.0/mlflow/experiments/search", {"max_results": 5}),
        ("POST", "2.0/mlflow/runs/search", {"experiment_ids": ["0"]}),
        ("POST", "2.0/mlflow/logged-models/search", {"experiment_ids": ["0"]}),
        ("GET", "3.0/mlflow/server-info", None),
        ("POST", "3.0/mlflow/traces/search", {"locations": []}),
    ]
    for method, path, body in searches:
        answer = await h.anonymous.request(method, f"/mlflow/ajax-api/{path}", json=body)
        assert answer.status_code == 200, (path, answer.text)
    models = (await h.anonymous.get("/mlflow/ajax-api/2.0/mlflow/registered-models/search")).json()
    assert models["registered_models"][0]["name"] == "flight-delay"


async def test_registering_again_finds_the_version_of_the_run(h: Harness, run: str) -> None:
    name = "/mlflow/api/2.0/mlflow/model-versions/search"
    before = (await h.viewer.get(name, params={"filter": "name = 'flight-delay'"})).json()["model_versions"]
    assert [(version["version"], version["source"].split("/")[0]) for version in before] == [("1", "capstan:")]
    catalogue = MlflowCatalogue(_process(h))
    assert await catalogue.ensure_version("flight-delay", run=run, source="capstan:/x", tags={}) == 1
    assert await catalogue.ensure_version("acme.flight-delay", run=uuid7(), source="capstan:/x", tags={}) == 1


class TestMlflowCatalogue(CatalogueBehaviour):
    @pytest.fixture
    def catalogue(self, h: Harness) -> MlflowCatalogue:
        return MlflowCatalogue(_process(h))


async def test_it_listens_on_no_port_and_only_its_owner_reaches_it(h: Harness, run: str) -> None:
    process = _process(h)
    folder = process._socket().parent
    assert folder.stat().st_mode & 0o077 == 0
    assert _sockets(group_of(h))
    assert not _listening() & _sockets(group_of(h))


async def test_a_killed_server_is_started_again(h: Harness, run: str) -> None:
    group = group_of(h)
    os.killpg(group, signal.SIGKILL)

    async def back() -> bool:
        answer = await h.viewer.get("/mlflow/api/2.0/mlflow/experiments/get", params={"experiment_id": "0"})
        return answer.status_code == 200

    await h.until(back, timeout=120)
    assert group_of(h) != group


async def test_a_guard_that_loses_its_registry_ends_the_whole_group(tmp_path: Path) -> None:
    """The command stands for the server; its child for the server's worker."""
    from_guard = Path(sys.modules[MlflowProcess.__module__].__file__ or "").with_name("mlflow_guard.py")
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    registry = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", registry, sys.executable, str(from_guard), sys.executable, "-c", child]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    group = int(await process.stdout.readline())
    await asyncio.sleep(0.5)
    assert len(_members(group)) == 3
    process.kill()
    await process.wait()
    await _until(lambda: not _members(group))


async def test_an_orphan_without_its_guard_is_ended_at_the_next_start(h: Harness, run: str) -> None:
    process = _process(h)
    group = group_of(h)
    os.kill(group, signal.SIGKILL)  # the guard alone
    await asyncio.sleep(0.5)
    assert _members(group)
    await h.until(lambda: _answers(h), timeout=120)
    assert not _members(group)
    assert process.running


async def test_it_stops_when_idle(tmp_path: Path) -> None:
    process = MlflowProcess(
        Settings(home=tmp_path, bus_url="memory:", job_pythons=job_pythons(), mlflow_idle_s=1.0, mlflow_start_s=120)
    )
    stopper = asyncio.ensure_future(process.idle_stopper()())
    try:
        async with process.using() as one, process.using() as two:
            assert one is two
            await asyncio.sleep(1.5)
            assert process.running
        await _until(lambda: not process.running)
    finally:
        stopper.cancel()
        await process.close()


async def test_a_start_that_fails_says_where_to_look(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, bus_url="memory:", job_pythons={"registry": sys.executable})
    process = MlflowProcess(settings)  # this interpreter has no mlflow
    with pytest.raises(NotReady, match="ended at its start"):
        async with process.using():
            pass
    await process.close()


async def _answers(h: Harness) -> bool:
    answer = await h.viewer.get("/mlflow/api/2.0/mlflow/experiments/get", params={"experiment_id": "0"})
    return answer.status_code == 200


def _process(h: Harness) -> MlflowProcess:
    closers = [getattr(close, "__self__", None) for close in h.service_.closers]
    return next(found for found in closers if isinstance(found, MlflowProcess))


def _members(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def _listening() -> set[str]:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{fields[9]}]" for fields in lines if fields[3] == "0A"}


def _sockets(group: int) -> set[str]:
    files = [file for member in _members(group) for file in Path(f"/proc/{member}/fd").iterdir()]
    return {target for file in files if (target := os.readlink(file)).startswith("socket:")}


async def _until(condition: Callable[[], bool], timeout: float = 20) -> None:
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - it looks at other processes
            await asyncio.sleep(0.1)
