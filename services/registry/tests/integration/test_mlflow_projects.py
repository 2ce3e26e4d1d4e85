"""Every endpoint of the MLflow proxy x role x own and foreign project, on MLflow itself.

The callers have their roles in `default`; the foreign things belong to `elsewhere`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from capstan_contracts.roles import Role
from capstan_registry.adapters.mlflow_process import MlflowProcess
from capstan_registry.app import build
from capstan_registry.domain.proxy_policy import ENDPOINTS
from capstan_registry.domain.proxy_things import Kind
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
API_3 = "/mlflow/api/3.0/mlflow"
FILES = "/mlflow/api/2.0/mlflow-artifacts/artifacts"
MARK = "written-elsewhere"
"""Stands in all content of the foreign project; its names say `elsewhere`."""


@dataclass(frozen=True)
class Things:
    """What a project has in MLflow."""

    prefix: str
    mark: str
    experiment: str
    run: str
    logged: str
    trace: str
    capstan_run: str

    @property
    def model(self) -> str:
        return f"{self.prefix.replace('/', '.')}churn"

    @property
    def experiment_name(self) -> str:
        return f"{self.prefix}churn"


Call = dict[str, Any]
FIND_RUN = """query GetRun($data: MlflowGetRunInput!) @component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetRun(input: $data) { apiError { code } run { info { runName } experiment { name } } }
}"""


def get(path: str, **params: Any) -> Call:
    return {"method": "GET", "url": f"{API}/{path}", "params": params}


def post(path: str, method: str = "POST", **body: Any) -> Call:
    return {"method": method, "url": f"{API}/{path}", "json": body}


def named(name: str, count: list[int] = [0]) -> str:  # noqa: B006 - a counter: a name is taken once
    count[0] += 1
    return f"{name}-{count[0]}"


def dataset(t: Things) -> dict[str, Any]:
    return {"dataset": {"name": f"d-{t.mark}", "digest": "1", "source_type": "x", "source": "{}"}, "tags": []}


CALLS: dict[tuple[str, str], Callable[[Things], Call]] = {
    ("GET", "(page)"): lambda t: {"method": "GET", "url": "/mlflow/version"},
    ("POST", "graphql"): lambda t: {
        "method": "POST",
        "url": "/mlflow/graphql",
        "json": {"query": FIND_RUN, "operationName": "GetRun", "variables": {"data": {"runId": t.run}}},
    },
    ("GET", "get-artifact"): lambda t: {
        "method": "GET",
        "url": "/mlflow/get-artifact",
        "params": {"run_uuid": t.run, "path": "note.txt"},
    },
    ("GET", "mlflow-artifacts/artifacts/{file}"): lambda t: {
        "method": "GET",
        "url": f"{FILES}/{t.experiment}/{t.run}/artifacts/note.txt",
    },
    ("PUT", "mlflow-artifacts/artifacts/{file}"): lambda t: {
        "method": "PUT",
        "url": f"{FILES}/{t.experiment}/{t.run}/artifacts/other.txt",
        "content": b"other",
    },
    ("GET", "mlflow-artifacts/artifacts"): lambda t: {
        "method": "GET",
        "url": FILES,
        "params": {"path": f"{t.experiment}/{t.run}/artifacts"},
    },
    ("GET", "experiments/get"): lambda t: get("experiments/get", experiment_id=t.experiment),
    ("GET", "experiments/get-by-name"): lambda t: get("experiments/get-by-name", experiment_name=t.experiment_name),
    ("GET", "experiments/search"): lambda t: get("experiments/search", max_results=1),
    ("POST", "experiments/search"): lambda t: post("experiments/search", max_results=1),
    ("POST", "experiments/search-datasets"): lambda t: {
        "method": "POST",
        "url": "/mlflow/ajax-api/2.0/mlflow/experiments/search-datasets",
        "json": {"experiment_ids": [t.experiment]},
    },
    ("GET", "runs/get"): lambda t: get("runs/get", run_id=t.run),
    ("POST", "runs/search"): lambda t: post("runs/search", experiment_ids=[t.experiment]),
    ("GET", "metrics/get-history"): lambda t: get("metrics/get-history", run_id=t.run, metric_key="auc"),
    ("GET", "metrics/get-history-bulk"): lambda t: {
        "method": "GET",
        "url": "/mlflow/ajax-api/2.0/mlflow/metrics/get-history-bulk",
        "params": {"run_id": t.run, "metric_key": "auc"},
    },
    ("GET", "metrics/get-history-bulk-interval"): lambda t: {
        "method": "GET",
        "url": "/mlflow/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval",
        "params": {"run_ids": t.run, "metric_key": "auc"},
    },
    ("GET", "artifacts/list"): lambda t: get("artifacts/list", run_id=t.run),
    ("GET", "registered-models/get"): lambda t: get("registered-models/get", name=t.model),
    ("GET", "registered-models/search"): lambda t: get("registered-models/search", max_results=1),
    ("GET", "registered-models/get-latest-versions"): lambda t: get(
        "registered-models/get-latest-versions", name=t.model
    ),
    ("POST", "registered-models/get-latest-versions"): lambda t: post(
        "registered-models/get-latest-versions", name=t.model
    ),
    ("GET", "registered-models/alias"): lambda t: get("registered-models/alias", name=t.model, alias="first"),
    ("GET", "model-versions/get"): lambda t: get("model-versions/get", name=t.model, version="1"),
    ("GET", "model-versions/search"): lambda t: get("model-versions/search", filter=f"name = '{t.model}'"),
    ("GET", "model-versions/get-download-uri"): lambda t: get(
        "model-versions/get-download-uri", name=t.model, version="1"
    ),
    ("GET", "logged-models/{model_id}"): lambda t: get(f"logged-models/{t.logged}"),
    ("POST", "logged-models/search"): lambda t: post("logged-models/search", experiment_ids=[t.experiment]),
    ("GET", "logged-models/{model_id}/artifacts/directories"): lambda t: get(
        f"logged-models/{t.logged}/artifacts/directories"
    ),
    ("GET", "server-info"): lambda t: {"method": "GET", "url": f"{API_3}/server-info"},
    ("GET", "ui-telemetry"): lambda t: {"method": "GET", "url": "/mlflow/ajax-api/3.0/mlflow/ui-telemetry"},
    ("GET", "workspaces"): lambda t: {"method": "GET", "url": f"{API_3}/workspaces"},
    ("GET", "datasets/search"): lambda t: {
        "method": "GET",
        "url": f"{API_3}/datasets/search",
        "params": {"experiment_ids": t.experiment},
    },
    ("POST", "datasets/search"): lambda t: {
        "method": "POST",
        "url": f"{API_3}/datasets/search",
        "json": {"experiment_ids": [t.experiment]},
    },
    ("POST", "traces/search"): lambda t: {
        "method": "POST",
        "url": f"{API_3}/traces/search",
        "json": {"locations": [location(t)]},
    },
    ("GET", "traces/get"): lambda t: {"method": "GET", "url": f"{API_3}/traces/get", "params": {"trace_id": t.trace}},
    ("GET", "traces/{trace_id}"): lambda t: {"method": "GET", "url": f"{API_3}/traces/{t.trace}"},
    ("POST", "experiments/create"): lambda t: post("experiments/create", name=named(t.experiment_name)),
    ("POST", "experiments/update"): lambda t: post(
        "experiments/update", experiment_id=t.experiment, new_name=t.experiment_name
    ),
    ("POST", "experiments/set-experiment-tag"): lambda t: post(
        "experiments/set-experiment-tag", experiment_id=t.experiment, key="k", value="v"
    ),
    ("POST", "runs/create"): lambda t: post("runs/create", experiment_id=t.experiment),
    ("POST", "runs/update"): lambda t: post("runs/update", run_id=t.run, status="RUNNING"),
    ("POST", "runs/log-metric"): lambda t: post("runs/log-metric", run_id=t.run, key="auc", value=0.5, timestamp=1),
    ("POST", "runs/log-parameter"): lambda t: post("runs/log-parameter", run_id=t.run, key=named("p"), value="1"),
    ("POST", "runs/set-tag"): lambda t: post("runs/set-tag", run_id=t.run, key="k", value="v"),
    ("POST", "runs/delete-tag"): lambda t: post("runs/delete-tag", run_id=t.run, key="k"),
    ("POST", "runs/log-batch"): lambda t: post("runs/log-batch", run_id=t.run, tags=[{"key": "b", "value": "1"}]),
    ("POST", "runs/log-inputs"): lambda t: post("runs/log-inputs", run_id=t.run, datasets=[dataset(t)]),
    ("POST", "runs/log-model"): lambda t: post("runs/log-model", run_id=t.run, model_json=json.dumps(model_of(t))),
    ("POST", "runs/outputs"): lambda t: post(
        "runs/outputs", run_id=t.run, models=[{"model_id": t.logged, "step": "0"}]
    ),
    ("POST", "logged-models"): lambda t: post(
        "logged-models", experiment_id=t.experiment, name="m", source_run_id=t.run
    ),
    ("PATCH", "logged-models/{model_id}"): lambda t: post(
        f"logged-models/{t.logged}", "PATCH", model_id=t.logged, status="LOGGED_MODEL_READY"
    ),
    ("POST", "logged-models/{model_id}/params"): lambda t: post(
        f"logged-models/{t.logged}/params", model_id=t.logged, params=[{"key": named("p"), "value": "1"}]
    ),
    ("PATCH", "logged-models/{model_id}/tags"): lambda t: post(
        f"logged-models/{t.logged}/tags", "PATCH", tags=[{"key": "k", "value": "v"}]
    ),
    ("DELETE", "logged-models/{model_id}/tags/{key}"): lambda t: {
        "method": "DELETE",
        "url": f"{API}/logged-models/{t.logged}/tags/k",
    },
    ("POST", "registered-models/create"): lambda t: post("registered-models/create", name=named(t.model)),
    ("PATCH", "registered-models/update"): lambda t: post(
        "registered-models/update", "PATCH", name=t.model, description="d"
    ),
    ("POST", "registered-models/set-tag"): lambda t: post(
        "registered-models/set-tag", name=t.model, key="k", value="v"
    ),
    ("DELETE", "registered-models/delete-tag"): lambda t: post(
        "registered-models/delete-tag", "DELETE", name=t.model, key="k"
    ),
    ("POST", "registered-models/alias"): lambda t: post(
        "registered-models/alias", name=t.model, alias="a", version="1"
    ),
    ("DELETE", "registered-models/alias"): lambda t: post("registered-models/alias", "DELETE", name=t.model, alias="a"),
    ("POST", "model-versions/create"): lambda t: post(
        "model-versions/create", name=t.model, source=f"runs:/{t.run}/model", run_id=t.run
    ),
    ("PATCH", "model-versions/update"): lambda t: post(
        "model-versions/update", "PATCH", name=t.model, version="1", description="d"
    ),
    ("POST", "model-versions/set-tag"): lambda t: post(
        "model-versions/set-tag", name=t.model, version="1", key="k", value="v"
    ),
    ("DELETE", "model-versions/delete-tag"): lambda t: post(
        "model-versions/delete-tag", "DELETE", name=t.model, version="1", key="k"
    ),
}


def model_of(t: Things) -> dict[str, Any]:
    return {"run_id": t.run, "artifact_path": "m", "flavors": {}, "utc_time_created": "2026-01-01 00:00:00"}


def location(t: Things) -> dict[str, Any]:
    return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": t.experiment}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def h(tmp_path_factory: pytest.TempPathFactory, willing_peers: Any) -> AsyncIterator[Harness]:
    folder = tmp_path_factory.mktemp("registry")
    async with running(Settings, build, folder, peers=willing_peers, mlflow_start_s=120) as harness:
        yield harness


async def ask(client: httpx.AsyncClient, call: Call) -> dict[str, Any]:
    answer = await client.request(**call)
    assert answer.status_code == 200, (call, answer.text)
    found: dict[str, Any] = answer.json() if answer.content else {}
    return found


async def made(h: Harness, owner: httpx.AsyncClient, prefix: str, mark: str) -> Things:
    """One of everything, made by its owner through the proxy; traces are not written through it, so past it."""
    experiment = (await ask(owner, post("experiments/create", name=f"{prefix}churn")))["experiment_id"]
    run = (await ask(owner, post("runs/create", experiment_id=experiment, run_name=mark)))["run"]["info"]["run_id"]
    model = {"experiment_id": experiment, "name": mark, "source_run_id": run}
    logged = (await ask(owner, post("logged-models", **model)))["model"]["info"]["model_id"]
    told = [{"key": "capstan.run", "value": "0190"}, {"key": "note", "value": mark}]
    capstan = (await ask(h.service, post("runs/create", experiment_id=experiment, tags=told)))["run"]["info"]["run_id"]
    trace = f"tr-{run}"
    things = Things(prefix, mark, experiment, run, logged, trace, capstan)
    for call in (
        post("runs/log-metric", run_id=run, key="auc", value=0.75, timestamp=1),
        post("runs/set-tag", run_id=run, key="k", value=mark),
        {"method": "PUT", "url": f"{FILES}/{experiment}/{run}/artifacts/note.txt", "content": mark.encode()},
        post("runs/log-inputs", run_id=run, datasets=[dataset(things)]),
        post("registered-models/create", name=things.model),
        post("registered-models/set-tag", name=things.model, key="k", value=mark),
        post("model-versions/create", name=things.model, source=f"runs:/{run}/model", run_id=run),
        post("registered-models/alias", name=things.model, alias="first", version="1"),
    ):
        await ask(owner, call)
    info = {"trace_id": trace, "trace_location": location(things), "request_time": "2026-01-01T00:00:00Z"}
    info |= {"state": "OK", "tags": {"note": mark}, "trace_metadata": {}}
    async with process_of(h).using() as client:
        kept = await client.post(f"{API_3}/traces", json={"trace": {"trace_info": info}})
    assert kept.status_code == 200, kept.text
    return things


def process_of(h: Harness) -> MlflowProcess:
    closers = [getattr(close, "__self__", None) for close in h.service_.closers]
    return next(found for found in closers if isinstance(found, MlflowProcess))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(h: Harness, foreign: Things) -> Things:
    return await made(h, h.operator, "", "written-here")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def foreign(h: Harness) -> Things:
    return await made(h, h.foreign, "elsewhere/", MARK)


async def test_every_endpoint_of_the_allow_list_is_tried() -> None:
    assert set(CALLS) == {(endpoint.method, endpoint.template) for endpoint in ENDPOINTS}


BEFORE = {
    ("POST", "runs/delete-tag"): CALLS["POST", "runs/set-tag"],
    ("DELETE", "logged-models/{model_id}/tags/{key}"): CALLS["PATCH", "logged-models/{model_id}/tags"],
}
ROLES = ("viewer", "operator", "admin")
OTHER_ANSWERS = {"traces/get": {200, 404, 500}, "workspaces": {503}, "runs/outputs": {200, 400}}
"""MLflow's own: a trace without spans, workspaces that are not enabled, an output that was told twice."""


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.template}")
async def test_own_things_are_reached_by_who_has_the_role(
    h: Harness, own: Things, foreign: Things, endpoint: Any, role: str
) -> None:
    if (prepare := BEFORE.get((endpoint.method, endpoint.template))) is not None:
        await ask(h.operator, prepare(own))
    answer = await getattr(h, role).request(**CALLS[endpoint.method, endpoint.template](own))
    if endpoint.allowed.role is Role.OPERATOR and role == "viewer":
        assert answer.status_code == 403 and answer.json()["code"] == "forbidden"
    else:
        assert answer.status_code in OTHER_ANSWERS.get(endpoint.template, {200}), answer.text
        assert "problem+json" not in answer.headers.get("content-type", "")
    assert MARK not in answer.text
    assert endpoint.allowed.lists is None or "elsewhere" not in answer.text


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.template}")
async def test_foreign_things_are_neither_read_nor_written(
    h: Harness, own: Things, foreign: Things, endpoint: Any, role: str
) -> None:
    writes = endpoint.allowed.role is Role.OPERATOR
    before = await state(h, foreign) if writes else []
    answer = await getattr(h, role).request(**CALLS[endpoint.method, endpoint.template](foreign))
    rule = endpoint.allowed
    if endpoint.template in ("(page)", "server-info", "ui-telemetry", "workspaces") or rule.lists is not None:
        assert answer.status_code in OTHER_ANSWERS.get(endpoint.template, {200})
    elif writes and (role == "viewer" or endpoint.template in NAMED_WRITES):
        assert answer.status_code == 403
    else:
        assert answer.status_code == 404, answer.text
        assert answer.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert MARK not in answer.text
    assert rule.lists is None or "elsewhere" not in answer.text
    assert not writes or await state(h, foreign) == before


NAMED_WRITES = {
    endpoint.template
    for endpoint in ENDPOINTS
    if endpoint.allowed.names is not None
    and endpoint.allowed.names.is_name
    and endpoint.template != "model-versions/create"
}
"""They name no id that the caller cannot see, so the refusal says to whom the name belongs."""


async def state(h: Harness, things: Things) -> list[Any]:
    """All that a write could have changed."""
    reads = [
        get("experiments/get", experiment_id=things.experiment),
        post("runs/search", experiment_ids=[things.experiment]),
        get("artifacts/list", run_id=things.run),
        get(f"logged-models/{things.logged}"),
        post("logged-models/search", experiment_ids=[things.experiment]),
        get("registered-models/search"),
        get("model-versions/search"),
        post("experiments/search", max_results=100),
    ]
    return [await ask(h.foreign, read) for read in reads]


@pytest.mark.parametrize("kind", [Kind.EXPERIMENT, Kind.RUN, Kind.LOGGED_MODEL, Kind.TRACE, Kind.MODEL_NAME])
async def test_a_foreign_thing_is_answered_like_one_that_is_not_there(
    h: Harness, own: Things, foreign: Things, kind: Kind
) -> None:
    calls: dict[Kind, Callable[[str], Call]] = {
        Kind.EXPERIMENT: lambda t: get("experiments/get", experiment_id=t),
        Kind.RUN: lambda t: get("runs/get", run_id=t),
        Kind.LOGGED_MODEL: lambda t: get(f"logged-models/{t}"),
        Kind.TRACE: lambda t: {"method": "GET", "url": f"{API_3}/traces/{t}"},
        Kind.MODEL_NAME: lambda t: get("registered-models/get", name=t),
    }
    there = {
        Kind.EXPERIMENT: foreign.experiment,
        Kind.RUN: foreign.run,
        Kind.LOGGED_MODEL: foreign.logged,
        Kind.TRACE: foreign.trace,
        Kind.MODEL_NAME: foreign.model,
    }[kind]
    absent = {Kind.EXPERIMENT: "987654", Kind.MODEL_NAME: "elsewhere.none"}.get(kind, there[:-4] + "0000")
    one, other = [(await h.viewer.request(**calls[kind](thing))).json() for thing in (there, absent)]
    assert one["detail"].replace(there, "?") == other["detail"].replace(absent, "?")
    assert (one["status"], one["code"]) == (other["status"], other["code"]) == (404, "not-found")


async def test_lists_turn_their_pages_over_foreign_entries(h: Harness, own: Things, foreign: Things) -> None:
    for number in range(3):
        await ask(h.operator, post("experiments/create", name=f"page-{number}"))
        await ask(h.foreign, post("experiments/create", name=f"elsewhere/page-{number}"))
    everything = await ask(h.service, post("experiments/search", max_results=1000))
    mine = [one["name"] for one in everything["experiments"] if not one["name"].startswith("elsewhere")]
    for size in (1, 2, 100):
        found, token, sizes = [], None, []
        while True:
            page = await ask(h.viewer, post("experiments/search", max_results=size, page_token=token))
            found += [one["name"] for one in page.get("experiments", [])]
            sizes.append(len(page.get("experiments", [])))
            if not (token := page.get("next_page_token")):
                break
        assert found == mine
        assert all(one == size for one in sizes[:-1])


async def test_versions_come_from_runs_of_their_own_project(h: Harness, own: Things, foreign: Things) -> None:
    """Also for who operates both projects."""
    principals = h.home / "secrets" / "principals.json"
    kept = json.loads(principals.read_text())
    for entry in kept["principals"]:
        if entry["id"] == "test-foreign":
            entry["roles"]["default"] = "operator"
    principals.write_text(json.dumps(kept))
    for call in (
        post("model-versions/create", name=own.model, source=f"runs:/{foreign.run}/model", run_id=own.run),
        post("model-versions/create", name=own.model, source=f"models:/{foreign.logged}"),
        post("model-versions/create", name=foreign.model, source=f"mlflow-artifacts:/{own.experiment}/x/artifacts/m"),
        post("runs/log-metric", run_id=own.run, key="auc", value=1.0, timestamp=1, model_id=foreign.logged),
        post("experiments/update", experiment_id=foreign.experiment, new_name="mine"),
    ):
        answer = await h.foreign.request(**call)
        assert answer.status_code == 403 and answer.json()["code"] == "protected", (call, answer.text)


async def test_runs_that_capstan_logged_are_written_by_capstan_alone(h: Harness, own: Things) -> None:
    run = own.capstan_run
    refused = [
        post("runs/log-metric", run_id=run, key="auc", value=0.999, timestamp=1),
        post("runs/log-parameter", run_id=run, key="leaves", value="1"),
        post("runs/log-batch", run_id=run, metrics=[{"key": "auc", "value": 1, "timestamp": 1, "step": 0}]),
        post("runs/update", run_id=run, status="FAILED"),
        post("runs/set-tag", run_id=run, key="capstan.run", value="x"),
        post("runs/set-tag", run_id=run, key="ｃapstan.run", value="x"),
        post("runs/set-tag", run_id=run, key="mlflow.runName", value="x"),
        post("runs/delete-tag", run_id=run, key="capstan.run"),
        post("runs/log-inputs", run_id=run, datasets=[dataset(own)]),
        post("logged-models", experiment_id=own.experiment, name="m", source_run_id=run),
        {"method": "PUT", "url": f"{FILES}/{own.experiment}/{run}/artifacts/a.txt", "content": b"a"},
        post("runs/create", experiment_id=own.experiment, tags=[{"key": "capstan.run", "value": "0190"}]),
        post("runs/log-batch", run_id=own.run, tags=[{"key": "capstan.run", "value": "0190"}]),
    ]
    for client in (h.operator, h.admin):
        for call in refused:
            answer = await client.request(**call)
            assert answer.status_code == 403 and answer.json()["code"] == "protected", (call, answer.text)
        await ask(client, post("runs/set-tag", run_id=run, key="mlflow.note.content", value="looks right"))
        await ask(client, post("runs/set-tag", run_id=run, key="looked-at", value="yes"))
    await ask(h.service, post("runs/log-metric", run_id=run, key="auc", value=0.75, timestamp=1))


async def test_a_missing_id_does_not_end_in_the_default_experiment(h: Harness, own: Things, foreign: Things) -> None:
    """Ids in fields that MLflow does not read stand for nothing."""
    for call in (
        post("runs/create", experiment_ids=[foreign.experiment]),
        post("logged-models", experiment_ids=[foreign.experiment], name="m"),
        {"method": "POST", "url": f"{API_3}/datasets/search", "json": {"experiment_id": foreign.experiment}},
    ):
        answer = await h.foreign.request(**call)
        assert 400 <= answer.status_code < 500, answer.text
