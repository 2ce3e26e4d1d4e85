"""Runs through the HTTP API, with an executor that answers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.events import RetrainRequested, RunFinished
from capstan_contracts.ids import Urn, uuid7
from capstan_contracts.loop import LoopPart
from capstan_servicekit.clock import SystemClock
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.runtime import Kit, Service
from capstan_testkit.harness import Harness, running
from capstan_training.actions.ports import Output, PipelineFailed, PipelineOrder, PipelineResult
from capstan_training.app import compose
from capstan_training.domain.part import TrainingPart
from capstan_training.domain.pipelines import Parameter, Pipeline
from capstan_training.settings import Settings
from capstan_training.tables import CodeRow, LoopRow

RUNS = "/v1/projects/default/runs"
V1 = "1" * 64


class QuickExecutor:
    """Makes a package and a holdout of fixed bytes. `hold` keeps runs waiting; nothing is a real package."""

    def __init__(self) -> None:
        self.orders: list[PipelineOrder] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.refuse = ""
        self.objects: ObjectStore | None = None
        self.ended: list[str] = []

    async def run(self, order: PipelineOrder, output: Output) -> PipelineResult:
        self.orders.append(order)
        await output.line("09:00:00.000 - INFO - Executing task 'fit'")
        await output.line("    as far as this")
        await self.hold.wait()
        if self.refuse:
            raise PipelineFailed(self.refuse)
        assert self.objects is not None
        package, holdout = [await self.objects.put_bytes(order.project, made) for made in (b"package", b"holdout")]
        return PipelineResult(package, holdout, {"auc": 0.7})

    async def end(self, run: str) -> None:
        self.ended.append(run)

    async def close(self) -> None:
        self.hold.set()


@pytest.fixture
def executor() -> QuickExecutor:
    return QuickExecutor()


@pytest.fixture
async def h(
    tmp_path: Path, with_training_set: Any, executor: QuickExecutor, make_part: Callable[..., LoopPart]
) -> AsyncIterator[Harness]:
    def composed(kit: Kit, settings: Settings) -> Service:
        executor.objects = kit.objects
        return compose(kit, settings, executor)

    async with running(
        Settings, lambda _: NotImplemented, tmp_path, peers=with_training_set, poll_s=0.05, compose=composed
    ) as harness:
        await have_loop(harness, make_part("c" * 64, parameters={"rounds": 3}))
        yield harness


async def have_loop(h: Harness, part: LoopPart) -> None:
    """The rows that an applied loop leaves; compiling is tested with the real compiler elsewhere."""
    parameters = {
        "training_set": Parameter("STRING", False),
        "rounds": Parameter("NUMBER_INTEGER", False),
        "rate": Parameter("NUMBER_DOUBLE", True),
        "manifest": Parameter("STRING", False),
    }
    ir = await h.kit.objects.put_bytes("default", b"ir")
    pipeline = Pipeline("tiny", ir, 1, parameters).to_json()
    now = SystemClock().now()
    async with h.kit.database.write() as session:
        row = LoopRow(project="default", loop="tiny", generation=1, part=TrainingPart.of(part.resolved).to_json())
        row.pipeline, row.applied_at = pipeline, now
        code = CodeRow(project="default", digest=part.resolved.code, state="succeeded", attempt=1)
        code.pipelines, code.errors, code.created_at = {"pipeline.py:train": pipeline}, {}, now
        session.add_all([row, code])


async def ended(h: Harness, run: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        body: dict[str, Any] = (await h.viewer.get(f"{RUNS}/{run}")).json()
        return body if body["state"] in {"succeeded", "failed", "cancelled"} else None

    found: dict[str, Any] = await h.until(look)
    return found


@pytest.mark.both_databases
async def test_a_run_by_hand_overrides_parameters_and_pins_the_newest(
    h: Harness, executor: QuickExecutor, with_training_set: Any
) -> None:
    body = {"loop": "tiny", "parameters": {"rounds": 5}, "promote": False}
    answer = await h.operator.post(RUNS, json=body)
    assert answer.status_code == 202
    run = answer.json()
    assert answer.headers["location"].endswith(run["id"])
    assert (run["state"], run["reason"], run["requested_by"]) == ("queued", "manual", "test-operator")
    done = await ended(h, run["id"])
    assert (done["parameters"], done["dataset_version"], done["metrics"]) == ({"rounds": 5}, V1, {"auc": 0.7})
    (order,) = executor.orders
    assert set(order.arguments) == {"rounds", "manifest"}
    assert (order.wants_training_set, order.label, order.timeout_s) == (True, "late", 1800)
    (asked,) = with_training_set.asked[:1]
    assert asked["sources"] == {"weather": "3" * 64}
    assert asked["dataset_version"] == V1

    async def told() -> Any:
        return h.published(RunFinished)

    ((envelope, event),) = await h.until(told)
    assert envelope.subject == f"capstan:default:run/{run['id']}"
    assert (event.promote, event.package, event.parameters) == (False, done["package"], {"rounds": 5})


@pytest.mark.both_databases
async def test_the_same_key_starts_one_run(h: Harness) -> None:
    headers = {"idempotency-key": "k1"}
    first = (await h.operator.post(RUNS, json={"loop": "tiny"}, headers=headers)).json()
    assert (await h.operator.post(RUNS, json={"loop": "tiny"}, headers=headers)).json()["id"] == first["id"]
    other = await h.operator.post(RUNS, json={"loop": "tiny", "promote": False}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-mismatch")
    assert len((await h.viewer.get(RUNS)).json()["items"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        ({"loop": "tiny", "parameters": {"nope": 1}}, 400, "parameters.nope"),
        ({"loop": "tiny", "parameters": {"rounds": 1.5}}, 400, "parameters.rounds"),
        ({"loop": "tiny", "parameters": {"manifest": "{}"}}, 400, "parameters.manifest"),
        ({"loop": "tiny", "parameters": {"rounds": [1]}}, 422, None),
        ({"loop": "tiny", "typo": 1}, 422, "body.typo"),
        ({"loop": "../x"}, 422, "body.loop"),
        ({"loop": "other"}, 404, None),
        ({"loop": "tiny", "dataset_version": "zz"}, 422, "body.dataset_version"),
        ({"loop": "tiny", "dataset_version": "9" * 12}, 404, None),
    ],
)
async def test_requests_that_are_refused(h: Harness, body: dict[str, Any], status: int, place: str | None) -> None:
    answer = await h.operator.post(RUNS, json=body)
    assert answer.status_code == status, answer.text
    if place is not None:
        assert answer.json()["errors"][0]["place"] == place
    if place == "parameters.nope":
        assert "rate, rounds" in answer.json()["detail"]
    assert (await h.viewer.get(RUNS)).json()["items"] == []


async def test_nan_is_no_parameter(h: Harness) -> None:
    content = b'{"loop": "tiny", "parameters": {"rate": NaN}}'
    answer = await h.operator.post(RUNS, content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-json")


async def test_short_versions_become_whole_ones(h: Harness) -> None:
    answer = await h.operator.post(RUNS, json={"loop": "tiny", "dataset_version": "2" * 12})
    assert answer.json()["dataset_version"] == "2" * 64


async def test_nothing_to_train_on(h: Harness, with_training_set: Any) -> None:
    with_training_set.newest["flights"] = None
    answer = await h.operator.post(RUNS, json={"loop": "tiny"})
    assert answer.status_code == 409
    with_training_set.newest |= {"flights": V1, "weather": None}
    run = (await h.operator.post(RUNS, json={"loop": "tiny"})).json()
    done = await ended(h, run["id"])
    assert done["problem"]["detail"] == "The dataset weather has no version yet"


async def test_who_may_do_what(h: Harness) -> None:
    assert (await h.viewer.post(RUNS, json={"loop": "tiny"})).status_code == 403
    assert (await h.foreign.post(RUNS, json={"loop": "tiny"})).status_code == 403
    for name in ("x", uuid7().upper(), "x%2Fy"):
        assert (await h.viewer.get(f"{RUNS}/{name}")).status_code in {404, 422}
    for tail in ("", "/logs", "/logs?follow=true"):
        assert (await h.viewer.get(f"{RUNS}/{uuid7()}{tail}")).status_code == 404
    assert (await h.operator.post(f"{RUNS}/{uuid7()}/cancel")).status_code == 404


async def test_runs_come_in_pages(h: Harness) -> None:
    ids = [(await h.operator.post(RUNS, json={"loop": "tiny"})).json()["id"] for _ in range(5)]
    first = (await h.viewer.get(RUNS, params={"limit": 3})).json()
    rest = (await h.viewer.get(RUNS, params={"limit": 3, "cursor": first["next"]})).json()
    assert sorted((run["id"] for run in first["items"] + rest["items"]), reverse=True) == sorted(ids, reverse=True)
    assert rest["next"] is None
    assert (await h.viewer.get(RUNS, params={"loop": "other"})).json()["items"] == []


async def test_a_failed_pipeline_says_step_and_line_and_the_log_follows_to_the_end(
    h: Harness, executor: QuickExecutor
) -> None:
    executor.refuse = "it fell over"
    executor.hold.clear()
    run = (await h.operator.post(RUNS, json={"loop": "tiny"})).json()["id"]
    follow = asyncio.create_task(h.viewer.get(f"{RUNS}/{run}/logs", params={"follow": True}))

    async def running_step() -> Any:
        return "as far as this" in (await h.viewer.get(f"{RUNS}/{run}/logs")).text

    await h.until(running_step)
    executor.hold.set()
    done = await ended(h, run)
    assert done["problem"]["detail"] == "step fit failed: it fell over"
    text = (await follow).text
    assert "data:     as far as this\n\n" in text
    assert "data: [capstan] step fit failed: it fell over\n\n" in text
    assert text.endswith('event: end\ndata: {"state": "failed"}\n\n')


async def test_cancelling_while_the_feature_store_joins(h: Harness, with_training_set: Any) -> None:
    with_training_set.polls = 10_000
    run = (await h.operator.post(RUNS, json={"loop": "tiny"})).json()["id"]

    async def joining() -> Any:
        return (await h.viewer.get(f"{RUNS}/{run}")).json()["stage"] == "features"

    await h.until(joining)
    await h.operator.post(f"{RUNS}/{run}/cancel")
    done = await ended(h, run)
    assert (done["state"], done["stage"], done["problem"]["title"]) == ("cancelled", "features", "Cancelled")


async def test_retraining_of_what_is_not_there_is_set_aside(h: Harness) -> None:
    event = RetrainRequested(request=uuid7(), loop="nope", reason="drift", dataset="flights", dataset_version=V1)
    await h.publish(event, subject=Urn("default", "loop", "nope"))
    wrong = RetrainRequested(request=uuid7(), loop="tiny", reason="drift", dataset="other", dataset_version=V1)
    await h.publish(wrong, subject=Urn("default", "loop", "tiny"))

    async def letters() -> Any:
        found = (await h.viewer.get("/v1/projects/default/dead-letters")).json()["items"]
        return found if len(found) == 2 else None

    reasons = [letter["reason"] for letter in await h.until(letters)]
    assert any("unknown loop nope" in reason for reason in reasons)
    assert any("its labels are in flights" in reason for reason in reasons)
    assert (await h.viewer.get(RUNS)).json()["items"] == []


async def test_a_retrain_that_fails_for_good_is_told_once_and_what_it_left_is_ended(
    h: Harness, executor: QuickExecutor
) -> None:
    executor.refuse = "it fell over"
    event = RetrainRequested(request=uuid7(), loop="tiny", reason="drift", dataset="flights", dataset_version=V1)
    await h.publish(event, subject=Urn("default", "loop", "tiny"))

    async def told() -> Any:
        return h.published(RunFinished)

    [(_, finished)] = await h.until(told)
    assert (finished.state.value, finished.reason, finished.dataset_version) == ("failed", "drift", V1)
    assert finished.package is None and finished.error == "step fit failed: it fell over"

    async def closed() -> Any:
        return executor.ended == [finished.run]

    await h.until(closed)
