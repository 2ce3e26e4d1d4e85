"""What the proxy lets through: paths, the list, and the looks."""

from __future__ import annotations

from typing import Any

import pytest

from capstan_contracts.roles import Role
from capstan_registry.domain import proxy_graphql, proxy_guards, proxy_path, proxy_policy
from capstan_registry.domain.model_names import mlflow_name, project_of, project_of_experiment
from capstan_registry.domain.proxy_policy import Guard
from capstan_registry.domain.proxy_things import UnclearName, things


@pytest.mark.parametrize(
    "raw",
    [
        b"../v1/x",
        b"static-files/../../etc/passwd",
        b"static-files/%2e%2e/x",
        b"static-files/..%2f..%2fetc",
        b"static-files/%252e%252e/x",
        b"static-files/..%5c..%5cetc",
        b"static-files/a\\..\\b",
        b"static-files//x",
        b"/static-files/x",
        b"static-files/./x",
        b"static-files/%00",
        b"static-files/%ff",
        b"api/2.0/mlflow/runs/get;x=1",
    ],
)
def test_paths_with_a_second_spelling_are_refused(raw: bytes) -> None:
    assert proxy_path.decode(raw) is None


def test_plain_paths_are_decoded_once() -> None:
    assert proxy_path.decode(b"") == ""
    assert proxy_path.decode(b"static-files/static/js/main.c2f5f8d4.js") == "static-files/static/js/main.c2f5f8d4.js"
    assert proxy_path.decode(b"a/b%20c/%C3%A9") == "a/b c/é"
    assert proxy_path.encode("a/b c/é") == "a/b%20c/%C3%A9"


READS = [
    ("GET", ""),
    ("GET", "static-files/static/css/main.b0f58ef9.css"),
    ("POST", "ajax-api/2.0/mlflow/experiments/search"),
    ("POST", "ajax-api/3.0/mlflow/traces/search"),
    ("POST", "api/2.0/mlflow/runs/search"),
    ("GET", "api/2.0/mlflow/registered-models/alias"),
    ("POST", "graphql"),
]


@pytest.mark.parametrize(("method", "path"), READS)
def test_reads_need_a_viewer(method: str, path: str) -> None:
    found = proxy_policy.look_up(method, path)
    assert found is not None
    assert found[0].role is Role.VIEWER


WRITES = [
    ("POST", "api/2.0/mlflow/runs/create"),
    ("POST", "api/2.0/mlflow/runs/log-batch"),
    ("POST", "api/2.0/mlflow/experiments/create"),
    ("POST", "api/2.0/mlflow/registered-models/create"),
    ("PUT", f"api/2.0/mlflow-artifacts/artifacts/1/{'ab' * 16}/artifacts/model/model.txt"),
    ("PUT", f"api/2.0/mlflow-artifacts/artifacts/1/models/m-{'ab' * 16}/artifacts/model.lgb"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_writes_need_an_operator(method: str, path: str) -> None:
    found = proxy_policy.look_up(method, path)
    assert found is not None
    assert found[0].role is Role.OPERATOR


REFUSED = [
    ("DELETE", "api/2.0/mlflow/registered-models/delete"),
    ("POST", "api/2.0/mlflow/registered-models/rename"),
    ("DELETE", "api/2.0/mlflow/model-versions/delete"),
    ("POST", "api/2.0/mlflow/model-versions/transition-stage"),
    ("POST", "ajax-api/2.0/mlflow/model-versions/transition-stage"),
    ("POST", "api/2.0/mlflow/runs/delete"),
    ("POST", "api/2.0/mlflow/experiments/delete"),
    ("POST", "api/2.0/mlflow/webhooks"),
    ("GET", "ajax-api/3.0/mlflow/gateway/secrets/list"),
    ("POST", "ajax-api/3.0/jobs/"),
    ("POST", "gateway/x/mlflow/invocations"),
    ("GET", "model-versions/get-artifact"),
    ("POST", "ajax-api/2.0/mlflow/upload-artifact"),
    ("PUT", "api/2.0/mlflow-artifacts/artifacts/1/other/file"),
    ("PUT", f"api/2.0/mlflow-artifacts/artifacts/1/{'ab' * 16}/artifacts/model.pkl"),
    ("DELETE", f"api/2.0/mlflow-artifacts/artifacts/1/{'ab' * 16}/artifacts/model.txt"),
    ("POST", "api/2.0/mlflow/something-new"),
    ("GET", "api/2.0/mlflow/runs/get/more"),
    ("PUT", "graphql"),
]


@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_the_rest_is_refused_with_a_reason_and_the_right_call(method: str, path: str) -> None:
    assert proxy_policy.look_up(method, path) is None
    sentence, hint = proxy_policy.why_refused(method, path)
    assert sentence and hint


def check(guard: Guard, body: dict[str, Any], ours: set[str] | None = None) -> proxy_guards.Refusal | None:
    return proxy_guards.check(guard, proxy_guards.Look({}, body, (ours or set()).__contains__))


@pytest.mark.parametrize(
    "alias", ["champion", "Champion", " champion ", "ｃhampion", "cham\u200bpion", "ｃｈａｍｐｉｏｎ"]
)
def test_the_champion_alias_is_protected(alias: str) -> None:
    refusal = check(Guard.ALIAS, {"name": "acme.flight-delay", "alias": alias, "version": "3"})
    assert refusal is not None and not refusal.shape
    assert "/v1/projects/acme/models/flight-delay/versions/3/promotions" in refusal.hint


def test_other_aliases_pass() -> None:
    assert check(Guard.ALIAS, {"name": "flight-delay", "alias": "challenger", "version": "3"}) is None


@pytest.mark.parametrize(
    "source",
    [
        "/etc",
        "file:///etc",
        "s3://b/k",
        "http://169.254.169.254/",
        "runs:/x/y",
        f"runs:/{'ab' * 16}/../../x",
        "",
        7,
        None,
    ],
)
def test_foreign_sources_are_refused(source: Any) -> None:
    assert check(Guard.NEW_VERSION, {"name": "mine", "source": source}) is not None


def test_a_run_of_this_server_is_a_source_but_not_for_a_loops_model() -> None:
    body = {"name": "mine", "source": f"runs:/{'ab' * 16}/model", "run_id": "ab" * 16}
    assert check(Guard.NEW_VERSION, body) is None
    assert check(Guard.NEW_VERSION, body, {"mine"}) is not None


def test_other_spellings_reserved_tags_and_locations_are_refused() -> None:
    assert check(Guard.NEW_VERSION, {"name": "mine", "source": "models:/m-" + "0" * 32, "runId": "x"}) is not None
    assert check(Guard.MODEL_TAG, {"name": "m", "version": "1", "key": "capstan.run", "value": "x"}) is not None
    assert check(Guard.MODEL_TAG, {"name": "m", "version": "1", "key": "note", "value": "x"}) is None
    assert check(Guard.MODEL, {"name": "m", "tags": [{"key": "Capstan.x", "value": "1"}]}) is not None
    assert check(Guard.EXPERIMENT, {"name": "e", "artifact_location": "/etc"}) is not None
    assert check(Guard.EXPERIMENT, {"name": "e"}) is None


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ({"path": ["model/model.txt"], "run_uuid": ["ab" * 16]}, False),
        ({"path": ["../../etc/passwd"], "run_uuid": ["ab" * 16]}, True),
        ({"path": ["ok", "..\\x"]}, True),
        ({"path": ["%2e%2e/x"]}, True),
        ({"run_id": ["../x"]}, True),
    ],
)
def test_artifact_paths_in_queries_are_plain(query: dict[str, list[str]], refused: bool) -> None:
    found = proxy_guards.check(Guard.ARTIFACT_QUERY, proxy_guards.Look(query, {}, set[str]().__contains__))
    assert (found is not None) == refused


@pytest.mark.parametrize(
    ("name", "project"),
    [
        ("acme/churn", "acme"),
        ("acme.churn", "acme"),
        ("acme/v1.2", "acme"),
        ("churn", "default"),
        ("Default", "default"),
        ("default/churn", "default"),
        ("/people/ann/churn", "default"),
        ("Churn v1.2", "default"),
        ("", "default"),
    ],
)
def test_an_experiments_project_stands_before_its_name(name: str, project: str) -> None:
    assert project_of_experiment(name) == project


def test_ids_are_found_wherever_they_stand_and_in_both_spellings() -> None:
    body = {
        "experimentIds": [1, "2"],
        "metrics": [{"key": "auc", "model_id": "m-1"}],
        "locations": [{"mlflowExperiment": {"experimentId": "3"}}],
        "inputs": {"models": [{"modelId": "m-2"}]},
        "source_run_id": "r",
        "name": "free text",
        "run_id": "",
    }
    found = things(None, {"trace_id": "t"}, {"run_id": ["a", "b"]}, body)
    assert sorted((thing.kind.value, thing.id) for thing in found) == [
        ("experiment", "1"),
        ("experiment", "2"),
        ("experiment", "3"),
        ("logged-model", "m-1"),
        ("logged-model", "m-2"),
        ("run", "a"),
        ("run", "b"),
        ("run", "r"),
        ("trace", "t"),
    ]
    with pytest.raises(UnclearName):
        things(None, {}, {}, {"run_id": {"a": 1}})


@pytest.mark.parametrize(
    "query",
    [
        'query Q($d: I!) { mlflowGetRun(input: {runId: "ab"}) { run } }',
        "query Q($d: I!) { mlflowGetRun(input: {runId: $d}) { run } }",
        "query Q($d: I = {x: A}) { mlflowGetRun(input: $d) { run } }",
        "query Q($d: I!) { mlflowSearchModelVersions(input: $d) { modelVersions } }",
        "query Q($d: I!) { a: mlflowSearchDatasets(input: $d) { x } }",
        "query Q($d: I!) { mlflowSearchRuns(input: {experimentIds: [$d]}) { x } }",
        "query Q { mlflowGetRun { run } }",
        "query Q($d: I!) { mlflowGetRun(input: $ d) { run } }",
        "{ mlflowGetExperiment(input: 7) { experiment } }",
        "query Q($d: I!) { mlflowGetRun(input: $d # ) { \n) { run } }",
        7,
    ],
)
def test_graphql_with_values_in_its_text_is_refused(query: Any) -> None:
    assert proxy_graphql.refusal({"query": query, "variables": {}}) is not None


def test_the_pages_own_graphql_goes_on() -> None:
    query = """query GetRun($data: MlflowGetRunInput!) @component(name: "MLflow.ExperimentRunTracking") {
      mlflowGetRun(input: $data) { apiError { code } run { info { runName } modelVersions { name } } __typename } }"""
    assert proxy_graphql.refusal({"query": query, "variables": {"data": {"runId": "ab"}}}) is None


def test_names_in_mlflow_carry_the_project() -> None:
    assert mlflow_name("default", "m") == "m"
    assert mlflow_name("acme", "m") == "acme.m"
    assert project_of("acme.m") == "acme"
    assert project_of("m") == "default"
