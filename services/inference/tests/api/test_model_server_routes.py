"""The model server's HTTP API: KServe V1 and V2, who may, and how it refuses."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan_inference.dataplane.access import Access
from capstan_inference.dataplane.config import Limits, Placement
from capstan_inference.dataplane.cost import Cost
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.http import ModelApp
from capstan_inference.dataplane.log import PredictionLog
from capstan_inference.dataplane.models import Models
from capstan_inference.dataplane.request_errors import RequestError
from capstan_inference.dataplane.served import Served
from capstan_testkit.harness import write_principals

PREDICT = "/v1/models/delay:predict"
INFER = "/v2/models/delay/infer"


@dataclass
class OpenServer:
    """The application, a caller per role, and what it stands on."""

    operator: httpx.AsyncClient
    clients: dict[str, httpx.AsyncClient]
    models: Models
    counters: Counters


class SlowLog(PredictionLog):
    """A disk that takes its time."""

    slow: asyncio.Event

    def append(self, project: str, deployment: str, records: Any, rows: int) -> asyncio.Future[Any]:
        return asyncio.ensure_future(self.slow.wait())


@pytest.fixture
def open_server(tmp_path: Path, make_package: Callable[..., Any]) -> Any:
    """Opens the server of one model `delay`, version 3, revision 2."""

    @asynccontextmanager
    async def opened(
        *, lookups: bool = False, log_type: type[PredictionLog] = PredictionLog, **limits: Any
    ) -> AsyncIterator[OpenServer]:
        package = make_package(lookups=lookups)
        counters, bounds = Counters(), Limits(**limits)
        models = Models(tmp_path / "online", counters)
        models.place(Placement("default", "delay", 3, 2, package.digest, package.path, "departure", ("flight",)))
        log = log_type(tmp_path / "spool", bounds, counters)
        log.start(asyncio.get_running_loop())
        tokens = write_principals(tmp_path / "principals.json")
        app = ModelApp(models, log, Access(tmp_path / "principals.json"), bounds)
        clients = {
            name: httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app),
                base_url="http://models",
                headers={"authorization": f"Bearer {token}"} if token else {},
            )
            for name, token in {**tokens, "anonymous": ""}.items()
        }
        yield OpenServer(clients["operator"], clients, models, counters)
        app.close()
        await asyncio.to_thread(log.close)

    return opened


def refused(answer: httpx.Response, status: int, code: str, place: str = "") -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["error"] == body["detail"] != ""
    if place:
        assert body["errors"][0]["place"] == place
    return body


def tensors(row: dict[str, Any]) -> list[dict[str, Any]]:
    types = {"delay": "FP64", "distance": "INT64", "origin": "BYTES", "departure": "BYTES"}
    return [{"name": n, "datatype": d, "shape": [1], "data": [row[n]]} for n, d in types.items()]


async def test_v1_and_v2_give_the_same_prediction_in_their_own_shapes(open_server: Any, row: dict[str, Any]) -> None:
    async with open_server() as server:
        first = (await server.operator.post(PREDICT, json={"instances": [row]})).json()
        assert list(first) == ["predictions", "prediction_ids", "model_version"]
        assert first["model_version"] == 3
        listed = [row["delay"], row["distance"], row["origin"], row["departure"]]
        assert (await server.operator.post(PREDICT, json={"instances": [listed]})).json()["predictions"] == first[
            "predictions"
        ]
        second = (await server.operator.post(INFER, json={"id": "q1", "inputs": tensors(row)})).json()
        assert second["outputs"] == [
            {"name": "prediction", "datatype": "FP64", "shape": [1], "data": first["predictions"]}
        ]
        assert (second["model_name"], second["model_version"], second["id"]) == ("delay", "3", "q1")
        assert len(second["parameters"]["prediction_ids"]) == 1
        versioned = await server.operator.post("/v2/models/delay/versions/3/infer", json={"inputs": tensors(row)})
        assert "id" not in versioned.json() and versioned.status_code == 200
        named = {"inputs": tensors(row), "outputs": [{"name": "prediction"}]}
        assert (await server.operator.post(INFER, json=named)).status_code == 200


async def test_many_rows_give_what_each_row_gives_alone(open_server: Any, row: dict[str, Any]) -> None:
    async with open_server() as server:
        rows = [
            {**row, "delay": float(number) - 20, "distance": None if number % 7 == 0 else number}
            for number in range(300)
        ]
        together = (await server.operator.post(PREDICT, json={"instances": rows})).json()
        assert len(set(together["prediction_ids"])) == 300
        alone = [
            (await server.operator.post(PREDICT, json={"instances": [one]})).json()["predictions"][0]
            for one in rows[::50]
        ]
        assert together["predictions"][::50] == alone
        assert server.counters.records == 1 + len(alone)


async def test_metadata_and_health(open_server: Any) -> None:
    async with open_server() as server:
        viewer, anonymous = server.clients["viewer"], server.clients["anonymous"]
        assert (await anonymous.get("/v2/health/live")).json() == {"live": True}
        assert (await anonymous.get("/v2/health/ready")).json() == {"ready": True}
        assert (await viewer.get("/v1/models")).json() == {"models": ["delay"]}
        assert (await viewer.get("/v1/models/delay")).json() == {"name": "delay", "ready": True}
        server = (await viewer.get("/v2")).json()
        assert server["name"] == "capstan" and server["extensions"] == []
        model = (await viewer.get("/v2/models/delay")).json()
        assert (model["name"], model["versions"], model["platform"]) == ("delay", ["3"], "capstan_lightgbm")
        assert model["inputs"][3] == {"name": "departure", "datatype": "BYTES", "shape": [-1]}
        assert model["outputs"] == [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
        assert (await viewer.get("/v2/models/delay/versions/3/ready")).json() == {"name": "delay", "ready": True}
        metrics = (await anonymous.get("/metrics")).text
        assert 'capstan_inference_model_requests_total{route="v2_model",status="200"} 1' in metrics


async def test_metrics_name_no_project_to_a_stranger(open_server: Any, row: dict[str, Any]) -> None:
    async with open_server() as server:
        await server.operator.post(PREDICT, json={"instances": [row] * 3})
        told = (await server.clients["anonymous"].get("/metrics")).text
        assert "capstan_inference_model_rows_total 3\n" in told and "default" not in told and "delay" not in told
        named = (await server.clients["service"].get("/metrics")).text
        assert 'rows_total{project="default",model="delay",version="3"} 3' in named
        refused(await server.operator.get("/metrics"), 403, "forbidden")
        bad = {"authorization": "Bearer nonsense"}
        refused(await server.clients["anonymous"].get("/metrics", headers=bad), 401, "unauthenticated")


async def test_who_may(open_server: Any, row: dict[str, Any]) -> None:
    async with open_server() as server:
        body = {"instances": [row]}
        refused(await server.clients["anonymous"].post(PREDICT, json=body), 401, "unauthenticated")
        bad = {"authorization": "Bearer nonsense"}
        refused(await server.clients["anonymous"].post(PREDICT, json=body, headers=bad), 401, "unauthenticated")
        refused(await server.clients["viewer"].post(PREDICT, json=body), 403, "forbidden")
        refused(await server.clients["foreign"].get("/v1/models"), 403, "forbidden")
        refused(await server.clients["foreign"].post(PREDICT, json=body), 403, "forbidden")
        # In its own project the same name means another model, and there is none.
        own = await server.clients["foreign"].post(f"/projects/elsewhere{PREDICT}", json=body)
        refused(own, 404, "not-found")
        assert (await server.clients["admin"].post(PREDICT, json=body)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/models/other:predict", 404, "not-found"),
        ("POST", "/v2/models/delay/versions/4/infer", 404, "not-found"),
        ("GET", "/v2/models/delay/versions/9/ready", 404, "not-found"),
        ("GET", PREDICT, 405, "method-not-allowed"),
        ("POST", "/v1/models", 405, "method-not-allowed"),
        ("POST", "/v1/models//delay:predict", 404, "route-not-found"),
        ("POST", "/v1/models/%2e%2e:predict", 404, "route-not-found"),
        ("POST", "/projects/UPPER/v1/models/delay:predict", 404, "route-not-found"),
        ("POST", "/v2/repository/models/delay/unload", 404, "route-not-found"),
        ("GET", "/", 404, "route-not-found"),
    ],
)
async def test_paths_that_lead_nowhere(
    open_server: Any, row: dict[str, Any], method: str, path: str, status: int, code: str
) -> None:
    async with open_server() as server:
        request = server.operator.build_request(method, path, json={"instances": [row]})
        request.url = httpx.URL(scheme="http", host="models", raw_path=path.encode())
        refused(await server.operator.send(request), status, code)


async def test_bodies_that_do_not_fit(open_server: Any, row: dict[str, Any]) -> None:
    async with open_server(max_rows=4, max_body_bytes=4096) as server:

        async def post(content: Any) -> httpx.Response:
            body = content if isinstance(content, bytes) else json.dumps(content)
            answer: httpx.Response = await server.operator.post(PREDICT, content=body)
            return answer

        refused(await post(b'{"instances": [{"delay": NaN}]}'), 400, "malformed-json", "body, character 25")
        without = {name: value for name, value in row.items() if name != "origin"}
        refused(await post({"instances": [row, without]}), 422, "invalid-body", "instances[1].origin")
        refused(await post({"instances": [{**row, "delay": "late"}]}), 422, "invalid-body", "instances[0].delay")
        refused(
            await post({"instances": [{**row, "departure": "noon"}]}), 422, "invalid-body", "instances[0].departure"
        )
        refused(await post({"instances": [row] * 5}), 422, "invalid-body", "instances")
        refused(await post(b" " * 5000), 413, "body-too-large", "body")

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(50):
                yield b" " * 1000

        refused(await server.operator.post(PREDICT, content=chunks()), 413, "body-too-large", "body")
        unequal = tensors(row)
        unequal[1] |= {"shape": [2], "data": [1, 2]}
        refused(await server.operator.post(INFER, json={"inputs": unequal}), 422, "invalid-body", "inputs[1].shape")
        unknown = {"inputs": tensors(row), "outputs": [{"name": "early"}]}
        refused(await server.operator.post(INFER, json=unknown), 422, "invalid-body", "outputs[0].name")
        binary = {"inference-header-content-length": "10"}
        refused(await server.operator.post(INFER, content=b"{}", headers=binary), 415, "unsupported-media")
        late = {"capstan-deadline-ms": "soon"}
        answer = await server.operator.post(PREDICT, json={"instances": [row]}, headers=late)
        refused(answer, 422, "invalid-body", "header capstan-deadline-ms")
        assert server.counters.waiting == 0 and server.counters.records == 0


async def test_too_many_wait_and_the_late_are_told_so(open_server: Any, row: dict[str, Any]) -> None:
    SlowLog.slow = asyncio.Event()
    async with open_server(log_type=SlowLog, max_waiting=2) as server:
        late = {"capstan-deadline-ms": "60"}
        answer = await server.operator.post(PREDICT, json={"instances": [row]}, headers=late)
        refused(answer, 504, "deadline-exceeded")
        waiting = [asyncio.create_task(server.operator.post(PREDICT, json={"instances": [row]})) for _ in range(2)]
        while server.counters.waiting < 2:  # noqa: ASYNC110 - the counter has no event
            await asyncio.sleep(0.005)
        answer = await server.operator.post(PREDICT, json={"instances": [row]})
        refused(answer, 503, "overloaded")
        assert answer.headers["retry-after"] == "1"
        SlowLog.slow.set()
        assert [(await one).status_code for one in waiting] == [200, 200]
        assert server.counters.waiting == 0


async def test_a_body_whose_sender_is_gone_is_not_predicted(open_server: Any, row: dict[str, Any]) -> None:
    """What has come of it may be whole JSON by chance; nobody would get the answer that the log has."""
    async with open_server() as server:
        body = json.dumps({"instances": [row]}).encode()
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": body, "more_body": True}, {"type": "http.disconnect"},
        ]  # fmt: skip
        came = iter(messages)
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return next(came)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        token = server.operator.headers["authorization"].encode()
        scope = {"type": "http", "method": "POST", "path": PREDICT, "headers": [(b"authorization", token)]}
        await server.operator._transport.app(scope, receive, send)
        assert 400 <= sent[0]["status"] < 500 and not server.counters.rows


async def test_what_takes_long_is_scored_beside_the_event_loop(
    open_server: Any, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's own cost decides, as measured at its load; not a number of rows."""
    threads: list[bool] = []

    def score(served: Served, batch: Any, scored_by: Any = Served.score) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return scored_by(served, batch)

    monkeypatch.setattr(Served, "score", score)
    async with open_server() as server:
        served = server.models.get("default", "delay", None)
        assert 0 < served.cost.of(1) < 0.001, "two trees"
        for cost, rows in (
            (Cost(0, 0.00001), 100), (Cost(0, 0.00001), 101), (Cost(0.0005, 0.00001), 51), (Cost(0, 0.002), 1),
        ):  # fmt: skip
            served.cost = cost
            assert (await server.operator.post(PREDICT, json={"instances": [row] * rows})).status_code == 200
    assert threads == [True, False, False, False]


async def test_rows_that_wait_for_the_model_thread_are_bounded(
    open_server: Any, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small requests to a slow model are not refused for being many; rows are."""
    goes_on = threading.Event()

    def score(served: Served, batch: Any, scored_by: Any = Served.score) -> Any:
        goes_on.wait(20)
        return scored_by(served, batch)

    monkeypatch.setattr(Served, "score", score)
    async with open_server(max_rows=2) as server:
        server.models.get("default", "delay", None).cost = Cost(0, 1.0)
        waiting = [asyncio.create_task(server.operator.post(PREDICT, json={"instances": [row]})) for _ in range(63)]
        while server.counters.waiting < 63:  # noqa: ASYNC110 - the counter has no event
            await asyncio.sleep(0.005)
        refused(await server.operator.post(PREDICT, json={"instances": [row] * 2}), 503, "overloaded")
        goes_on.set()
        assert {(await request).status_code for request in waiting} == {200}
        assert (await server.operator.post(PREDICT, json={"instances": [row] * 2})).status_code == 200


async def test_a_view_that_is_not_there_gives_nulls_and_says_missing(
    open_server: Any, tmp_path: Path, row: dict[str, Any], write_weather: Any
) -> None:
    async with open_server(lookups=True) as server:
        before = (await server.operator.post(PREDICT, json={"instances": [row]})).json()
        noon = 1_357_041_600_000_000
        write_weather(tmp_path, {("JFK", noon): (noon, 99.0, 9.0)})
        after = (await server.operator.post(PREDICT, json={"instances": [row]})).json()
        assert before["predictions"] != after["predictions"]
        assert (await server.operator.post(PREDICT, json={"instances": [{**row, "origin": None}]})).status_code == 200
        assert server.counters.lookup_errors == 0


async def test_a_package_that_is_not_what_it_claims_changes_nothing(
    open_server: Any, tmp_path: Path, make_package: Any, row: dict[str, Any]
) -> None:
    async with open_server() as server:
        other = make_package(1.0)
        with pytest.raises(RequestError, match="not package"):
            server.models.place(Placement("default", "delay", 4, 3, "f" * 64, other.path))
        with pytest.raises(RequestError, match="cannot be loaded"):
            server.models.place(Placement("default", "delay", 4, 3, "f" * 64, tmp_path / "nowhere"))
        assert (await server.operator.post(PREDICT, json={"instances": [row]})).json()["model_version"] == 3
