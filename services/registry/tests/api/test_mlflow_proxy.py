"""the MLflow proxy: who may proxy_request, what goes on, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from capstan_testkit.harness import Harness

API = "/mlflow/api/2.0/mlflow"


async def test_reads_pass_for_viewers_and_nothing_of_the_caller_goes_on(h: Harness, server: Any) -> None:
    answer = await h.viewer.post(f"{API}/runs/search", json={"experiment_ids": ["0"]})
    assert answer.status_code == 200
    method, path, query, body = server.passed[-1]
    assert (method, path, query) == ("POST", f"{API}/runs/search", "")
    assert json.loads(body) == {"experiment_ids": ["0"]}
    assert (await h.viewer.get(f"{API}/runs/get", params={"run_id": "ab" * 16})).status_code == 200
    assert server.passed[-1][2] == f"run_id={'ab' * 16}"
    assert (await h.anonymous.get("/mlflow/")).status_code == 401
    assert (await h.viewer.get("/mlflow", follow_redirects=False)).headers["location"] == "/mlflow/"


async def test_writes_are_for_operators(h: Harness, server: Any) -> None:
    path = f"{API}/runs/create"
    refused = await h.viewer.post(path, json={"experiment_id": "0"})
    assert refused.status_code == 403
    assert refused.json()["error_code"] == "PERMISSION_DENIED"
    assert server.passed == []
    assert (await h.operator.post(path, json={"experiment_id": "0"})).status_code == 200
    assert (await h.service.post(path, json={"experiment_id": "0"})).status_code == 200


async def test_the_champion_alias_is_refused_with_the_right_call(h: Harness, server: Any) -> None:
    body = {"name": "flight-delay", "alias": "champion", "version": "2"}
    for client in (h.operator, h.admin, h.service):
        answer = await client.post(f"{API}/registered-models/alias", json=body)
        assert answer.status_code == 403
        assert answer.json()["code"] == "protected"
        assert "models/flight-delay/versions/2/promotions" in answer.json()["message"]
    assert (await h.operator.request("DELETE", f"{API}/registered-models/alias", json=body)).status_code == 403
    assert server.passed == []
    assert (await h.operator.post(f"{API}/registered-models/alias", json=body | {"alias": "best"})).status_code == 200


async def test_whose_something_is_is_asked_once_and_again_after_a_new_start(h: Harness, server: Any) -> None:
    server.experiments["2"] = "elsewhere/churn"
    server.runs["cd" * 16] = ("2", {})
    for _ in range(2):
        assert (await h.viewer.get(f"{API}/runs/get", params={"run_id": "cd" * 16})).status_code == 404
        assert (await h.foreign.get(f"{API}/runs/get", params={"run_id": "cd" * 16})).status_code == 200
    assert len(server.asked) == 2
    # a database that was lost gives its numbers again
    server.experiments["2"], server.starts = "churn", 1
    assert (await h.viewer.get(f"{API}/runs/get", params={"run_id": "cd" * 16})).status_code == 200
    assert (await h.foreign.get(f"{API}/runs/get", params={"run_id": "cd" * 16})).status_code == 404


async def test_a_name_in_a_foreign_project_is_refused_with_one_that_would_do(h: Harness, server: Any) -> None:
    refused = await h.foreign.post(f"{API}/experiments/create", json={"name": "churn"})
    assert refused.status_code == 403
    assert "belongs" in refused.json()["detail"] and "'elsewhere/churn'" in refused.json()["hint"]
    assert server.passed == []
    assert (await h.foreign.post(f"{API}/experiments/create", json={"name": "elsewhere/churn"})).status_code == 200
    renamed = {"experiment_id": "1", "new_name": "elsewhere/churn"}
    assert (await h.operator.post(f"{API}/experiments/update", json=renamed)).status_code == 403


async def test_a_request_that_names_nothing_is_refused(h: Harness, server: Any) -> None:
    assert (await h.operator.post(f"{API}/runs/log-metric", json={"key": "auc", "value": 1})).status_code == 422
    assert (await h.operator.post(f"{API}/runs/set-tag", json={"run_id": ["ab"], "key": 1})).status_code == 404
    assert (await h.operator.post(f"{API}/runs/set-tag", json={"run_id": {"a": "b"}})).status_code == 422
    many = {"experiment_ids": [str(number) for number in range(1001)]}
    assert (await h.viewer.post(f"{API}/runs/search", json=many)).status_code == 422
    assert server.passed == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "m", "alias": "best", "alias": "champion", "version": "1"}',
        b'"{\\"name\\": \\"m\\", \\"alias\\": \\"champion\\"}"',
        b'["champion"]',
        b"{",
        b'{"name": "m", "alias": {"x": 1}}',
        b'{"name": ["m"], "alias": "best"}',
        b'{"name": "m", "alias": "best", "Alias": "champion"}',
    ],
)
async def test_bodies_with_two_readings_are_refused(h: Harness, server: Any, body: bytes) -> None:
    answer = await h.operator.post(f"{API}/registered-models/alias", content=body)
    assert answer.status_code == 422
    assert server.passed == []


async def test_a_write_needs_the_project_of_the_model(h: Harness, server: Any) -> None:
    answer = await h.operator.post(f"{API}/registered-models/create", json={"name": "elsewhere.m"})
    assert answer.status_code == 403
    assert (await h.foreign.post(f"{API}/registered-models/create", json={"name": "elsewhere.m"})).status_code == 200
    assert (await h.foreign.post(f"{API}/registered-models/create", json={"name": "m"})).status_code == 403
    assert len(server.passed) == 1


async def test_versions_of_a_loops_model_come_from_its_runs(h: Harness, server: Any, loop_body: Any) -> None:
    await h.admin.put("/v1/projects/default/loops/flight-delay", json=loop_body())
    body = {"name": "flight-delay", "source": f"runs:/{'ab' * 16}/model", "run_id": "ab" * 16}
    refused = await h.operator.post(f"{API}/model-versions/create", json=body)
    assert refused.status_code == 403
    assert "runs of its loop" in refused.json()["detail"]
    assert (await h.operator.post(f"{API}/model-versions/create", json=body | {"name": "mine"})).status_code == 200
    foreign = body | {"name": "mine", "source": "file:///etc"}
    assert (await h.operator.post(f"{API}/model-versions/create", json=foreign)).status_code == 403
    assert len(server.passed) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/mlflow/api/2.0/mlflow/registered-models/delete"),
        ("POST", "/mlflow/api/2.0/mlflow/model-versions/transition-stage"),
        ("GET", "/mlflow/ajax-api/3.0/mlflow/gateway/secrets/list"),
        ("POST", "/mlflow/ajax-api/3.0/jobs/"),
        ("GET", "/mlflow/model-versions/get-artifact?path=x&name=m&version=1"),
        ("GET", "/mlflow/%2e%2e/v1/projects/default/ledger"),
        ("GET", "/mlflow/static-files/..%2f..%2fetc/passwd"),
        ("GET", "/mlflow/static-files/%252e%252e/x"),
        ("GET", "/mlflow/static-files/..%5cx"),
        ("GET", "/mlflow/get-artifact?path=../../x&run_uuid=" + "ab" * 16),
        ("GET", "/mlflow/api/2.0/mlflow-artifacts/artifacts?path=..%2f..%2fx"),
    ],
)
async def test_the_rest_is_refused_before_anything_starts(h: Harness, server: Any, method: str, path: str) -> None:
    answer = await h.admin.request(method, path)
    assert answer.status_code in (403, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert server.passed == []


async def test_artifacts_are_uploaded_below_runs_and_never_pages_of_this_origin(h: Harness, server: Any) -> None:
    path = f"/mlflow/api/2.0/mlflow-artifacts/artifacts/1/{'ab' * 16}/artifacts/report.html"
    content = b"x" * 3_000_000  # larger than other bodies may be
    assert (await h.operator.put(path, content=content)).status_code == 200
    assert server.passed[-1][1] == path.removeprefix("/mlflow")
    assert server.passed[-1][3] == content
    shown = await h.viewer.get(path)
    assert shown.headers["content-security-policy"] == "sandbox"
    assert (await h.viewer.put(path, content=b"x")).status_code == 403


async def test_a_browser_session_reads_and_does_not_write(h: Harness) -> None:
    link = (await h.admin.post("/v1/session-links", params={"path": "/mlflow/"})).json()["url"]
    opened = await h.anonymous.get(link, follow_redirects=False)
    assert opened.headers["location"] == "/mlflow/"
    assert (await h.anonymous.get("/mlflow/")).status_code == 200
    searched = await h.anonymous.post("/mlflow/ajax-api/2.0/mlflow/experiments/search", json={"max_results": 5})
    assert searched.status_code == 200
    assert (await h.anonymous.post(f"{API}/runs/create", json={})).status_code == 403


@pytest.mark.parametrize("text", ["\ud800", "a\x00b"], ids=["half of a surrogate pair", "U+0000"])
async def test_text_that_no_store_keeps_does_not_go_on(h: Harness, server: Any, text: str) -> None:
    for path, body in (
        ("runs/set-tag", {"run_id": "ab" * 16, "key": "k", "value": text}),
        ("runs/log-batch", {"run_id": "ab" * 16, "tags": [{"key": text, "value": "v"}]}),
        ("registered-models/create", {"name": "mine", "description": text}),
        ("experiments/create", {"name": "mine", "tags": [{"key": "k", "value": text}]}),
    ):
        answer = await h.operator.post(f"{API}/{path}", content=json.dumps(body))
        assert answer.status_code == 422, f"{path}: {answer.text}"
        assert "a string holds" in answer.json()["detail"]
    raw = b'{"run_id": "x", "key": "k", "value": "\xed\xa0\x80"}'
    assert (await h.operator.post(f"{API}/runs/set-tag", content=raw)).status_code == 422
    assert server.passed == []


@pytest.mark.parametrize(
    "text", ["\U0001f9ea\u200d\U0001f4a5", "Zu\u0308rich", "\u202e\u05d0", "\u00e9" * 5_000, "\\u0000"]
)
async def test_any_other_text_goes_on_as_it_was(h: Harness, server: Any, text: str) -> None:
    body = {"name": "mine", "description": text}
    answer = await h.operator.post(
        f"{API}/registered-models/create", content=json.dumps(body, ensure_ascii=False).encode()
    )
    assert answer.status_code == 200, answer.text
    assert json.loads(server.passed[-1][3]) == body
