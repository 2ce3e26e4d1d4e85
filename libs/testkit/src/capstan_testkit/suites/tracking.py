"""What tracking must do: show a finished run once, whole, however often and however brokenly it is told of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

import httpx
import pytest

from capstan_contracts.ids import uuid7
from capstan_servicekit.errors import Upstream

RUN = "/mlflow/api/2.0/mlflow/runs/get"
CALLS = 7
"""Requests that the first run of a loop takes: experiment (2), run (2), figures, inputs, end."""
MakeRecord = Callable[..., Any]


class Tracking(Protocol):
    """The port, as training's tests give it; `Any` is a `RunRecord`."""

    async def log_run(self, record: Any) -> str:
        """Log a run; its id over there."""
        ...


class FailingAt(httpx.AsyncBaseTransport):
    """Passes requests on but for one: the n-th, from 1 on, which is answered before it reaches anybody."""

    def __init__(self, inner: httpx.AsyncBaseTransport, turn: int) -> None:
        self._inner, self._left = inner, turn

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._left -= 1
        if self._left == 0:
            body = {"title": "away", "status": 502, "code": "upstream-unavailable", "detail": "it was cut off"}
            return httpx.Response(502, json=body)
        return await self._inner.handle_async_request(request)


class TrackingBehaviour:
    """Inherit, and give the fixtures.

    `tracking`: the adapter. `cut_off(n)`: another one, whose n-th request fails. `make_record(**changes)`: a record of
    the port. `reader`: an HTTP client that reads the tracking system past the adapter.
    """

    async def test_a_run_is_shown_as_it_ended(
        self, tracking: Tracking, make_record: MakeRecord, reader: httpx.AsyncClient
    ) -> None:
        record = make_record()
        shown = await _shown(reader, await tracking.log_run(record))
        info, data = shown["info"], shown["data"]
        assert info["status"] == "FINISHED"
        assert (info["start_time"], info["end_time"]) == (_millis(record.started_at), _millis(record.finished_at))
        assert _pairs(data["metrics"]) == record.metrics
        assert _pairs(data["params"]) == {
            key: value if isinstance(value, str) else json.dumps(value) for key, value in record.parameters.items()
        }
        tags = {"capstan.run": record.run, "capstan.package": record.package, "capstan.loop": record.loop}
        assert (tags | record.tags).items() <= _pairs(data["tags"]).items()
        ((dataset,),) = [[dataset_input["dataset"] for dataset_input in shown["inputs"]["dataset_inputs"]]]
        assert dataset["name"] == record.dataset and record.dataset_version.startswith(dataset["digest"])

    async def test_it_is_logged_once_however_often_it_is_told(
        self, tracking: Tracking, make_record: MakeRecord, reader: httpx.AsyncClient
    ) -> None:
        record = make_record()
        first = await tracking.log_run(record)
        assert await tracking.log_run(record) == first
        shown = await _shown(reader, first)
        assert len(shown["inputs"]["dataset_inputs"]) == 1 and _pairs(shown["data"]["metrics"]) == record.metrics

    async def test_runs_of_a_loop_stand_side_by_side_and_projects_apart(
        self, tracking: Tracking, make_record: MakeRecord, reader: httpx.AsyncClient
    ) -> None:
        loop = f"loop-{uuid7()[-12:]}"
        ids = [await tracking.log_run(make_record(loop=loop)) for _ in range(2)]
        elsewhere = await tracking.log_run(make_record(loop=loop, project="elsewhere"))
        assert len({*ids, elsewhere}) == 3
        places = [(await _shown(reader, id_))["info"]["experiment_id"] for id_ in (*ids, elsewhere)]
        assert places[0] == places[1] != places[2]

    async def test_more_figures_than_one_request_takes_all_arrive(
        self, tracking: Tracking, make_record: MakeRecord, reader: httpx.AsyncClient
    ) -> None:
        parameters = {f"p{number}": number for number in range(230)} | {"long": "x" * 7000}
        metrics = {f"m{number}": number / 7 for number in range(130)}
        shown = await _shown(reader, await tracking.log_run(make_record(parameters=parameters, metrics=metrics)))
        params = _pairs(shown["data"]["params"])
        assert params.pop("long") == "x" * 6000
        assert params == {f"p{number}": str(number) for number in range(230)}
        assert _pairs(shown["data"]["metrics"]) == pytest.approx(metrics)

    async def test_a_run_without_figures_is_shown_too(
        self, tracking: Tracking, make_record: MakeRecord, reader: httpx.AsyncClient
    ) -> None:
        shown = await _shown(reader, await tracking.log_run(make_record(parameters={}, metrics={})))
        assert shown["info"]["status"] == "FINISHED"
        assert not shown["data"].get("params") and not shown["data"].get("metrics")

    @pytest.mark.parametrize("turn", range(1, CALLS + 1))
    async def test_what_was_cut_off_is_finished_by_the_next_try(
        self,
        turn: int,
        tracking: Tracking,
        cut_off: Callable[[int], Tracking],
        make_record: MakeRecord,
        reader: httpx.AsyncClient,
    ) -> None:
        record = make_record(loop=f"loop-{uuid7()[-12:]}")
        with pytest.raises(Upstream):
            await cut_off(turn).log_run(record)
        run = await tracking.log_run(record)
        shown = await _shown(reader, run)
        assert shown["info"]["status"] == "FINISHED" and _pairs(shown["data"]["metrics"]) == record.metrics
        assert await tracking.log_run(record) == run


async def _shown(reader: httpx.AsyncClient, run: str) -> dict[str, Any]:
    answer = await reader.get(RUN, params={"run_id": run})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()["run"]
    return shown


def _pairs(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["key"]: entry["value"] for entry in entries}


def _millis(at: Any) -> int:
    return int(at.timestamp() * 1000)
