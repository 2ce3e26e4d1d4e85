"""Text that a client sends to MLflow is kept exactly, or refused with a sentence: names of files, tags, parameters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from capstan_registry.app import build
from capstan_registry.settings import Settings
from capstan_testkit.harness import Harness, job_pythons, running

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif("registry" not in job_pythons(), reason="the registry's job environment is not installed"),
]

API = "/mlflow/api/2.0/mlflow"
FILES = "/mlflow/api/2.0/mlflow-artifacts/artifacts"
KEPT = {
    "emoji": "\N{ROCKET}\N{FAMILY}",
    "composed": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "right to left": "\u05e9\u05dc\u05d5\u05dd",
    "quotes": 'it\'s "so" `here`',
    "signs": "a+b & c=d: 1, <b>, @home.txt",
}
REFUSED = {
    "NUL": b"a\0b",
    "encoded twice": b"100%25",
    "signs of an address": b"what? #1",
    "half a pair": b"a\xed\xa0\x80b",
    "no UTF-8": b"a\xffb",
    "10 kB": b"x" * 10_000,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def h(tmp_path_factory: pytest.TempPathFactory, willing_peers: Any) -> AsyncIterator[Harness]:
    folder = tmp_path_factory.mktemp("registry")
    async with running(Settings, build, folder, peers=willing_peers, mlflow_start_s=120) as harness:
        yield harness


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(h: Harness) -> tuple[str, str]:
    """Experiment and run."""
    answer = await h.operator.post(f"{API}/experiments/create", json={"name": "strings"})
    experiment = answer.json()["experiment_id"]
    answer = await h.operator.post(f"{API}/runs/create", json={"experiment_id": experiment})
    return experiment, answer.json()["run"]["info"]["run_id"]


@pytest.mark.parametrize("text", KEPT.values(), ids=list(KEPT))
async def test_a_file_keeps_its_name(h: Harness, run: tuple[str, str], text: str) -> None:
    experiment, run_id = run
    path = f"{FILES}/{experiment}/{run_id}/artifacts/{quote(text, safe='')}"
    written = await h.operator.put(path, content=text.encode())
    assert written.status_code == 200, written.text
    assert (await h.viewer.get(path)).content == text.encode()
    listed = await h.viewer.get(f"{API}/artifacts/list", params={"run_id": run_id})
    assert text in {file["path"] for file in listed.json()["files"]}


@pytest.mark.parametrize("name", REFUSED.values(), ids=list(REFUSED))
async def test_a_name_that_no_store_keeps_is_refused(h: Harness, run: tuple[str, str], name: bytes) -> None:
    experiment, run_id = run
    path = f"{FILES}/{experiment}/{run_id}/artifacts/{quote(name)}"
    for answer in (await h.operator.put(path, content=b"x"), await h.viewer.get(path)):
        assert 400 <= answer.status_code < 500, answer.text
        problem = answer.json()
        assert problem.get("message") or problem["detail"]


@pytest.mark.parametrize("text", [*KEPT.values(), "100%25", "x" * 5_000], ids=[*KEPT, "percent", "5 kB"])
async def test_tags_and_parameters_keep_their_text(h: Harness, run: tuple[str, str], text: str) -> None:
    _, run_id = run
    key = f"k{abs(hash(text))}"
    for route in ("set-tag", "log-parameter"):
        answer = await h.operator.post(f"{API}/runs/{route}", json={"run_id": run_id, "key": key, "value": text})
        assert answer.status_code == 200, answer.text
    data = (await h.viewer.get(f"{API}/runs/get", params={"run_id": run_id})).json()["run"]["data"]
    for kind in ("tags", "params"):
        assert text in [entry["value"] for entry in data[kind] if entry["key"] == key]
