"""Runs on the real KFP runner in the training environment, from the event or the request to the package."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.events import DatasetCommitted, RetrainRequested, RunFinished, RunStarted
from capstan_contracts.ids import Urn, uuid7
from capstan_contracts.loop import LoopPart
from capstan_packages.models import read_model
from capstan_testkit.harness import Harness, running
from capstan_training.app import build
from capstan_training.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
RUNS = "/v1/projects/default/runs"
V1, V2 = "1" * 64, "2" * 64


@pytest.fixture
async def started(tmp_path: Path, with_training_set: Any) -> AsyncIterator[Harness]:
    async with running(Settings, build, tmp_path, peers=with_training_set, poll_s=0.1) as harness:
        yield harness


async def apply(h: Harness, recipe: Any, part: LoopPart) -> None:
    path = f"/v1/projects/default/code/{recipe.digest}"
    assert (await h.admin.put(path, content=recipe.content)).status_code == 202
    body = part.model_dump_json(by_alias=True)
    answer = await h.service.put(
        f"/v1/projects/default/loops/{part.resolved.loop.metadata.name}",
        content=body,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 200, answer.text


async def ended(h: Harness, run: str, timeout: float = 60) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        body: dict[str, Any] = (await h.viewer.get(f"{RUNS}/{run}")).json()
        return body if body["state"] in {"succeeded", "failed", "cancelled"} else None

    found: dict[str, Any] = await h.until(look, timeout)
    return found


async def start(h: Harness, **parameters: Any) -> str:
    answer = await h.operator.post(RUNS, json={"loop": "tiny", "parameters": parameters})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def said(h: Harness, run: str, text: str) -> None:
    async def look() -> bool:
        return text in (await h.viewer.get(f"{RUNS}/{run}/logs")).text

    await h.until(look, 60)


async def test_a_run_ends_in_a_package_and_the_same_pins_give_the_same(
    started: Harness, recipe: Any, make_part: Callable[..., LoopPart], with_training_set: Any
) -> None:
    h = started
    await apply(h, recipe, make_part(recipe.digest, parameters={"shift": 1}))
    first, second, third = await start(h), await start(h), await start(h, shift=2.5)
    run = await ended(h, first)
    assert run["state"] == "succeeded", run
    assert (run["stage"], run["dataset_version"], run["view_versions"]) == ("done", V1, {"weather": "4" * 64})
    assert run["dataset_versions"] == {"flights": V1, "weather": "3" * 64}
    assert set(run["metrics"]) == {"accuracy"}
    package = read_model(await h.kit.objects.local_path("default", run["package"]))
    assert package.header.pins.code_digest == recipe.digest
    assert package.header.pins.parameters == {"shift": 1}
    assert (await h.kit.objects.read("default", run["holdout"]))[:4] == b"PAR1"
    again, other = await ended(h, second), await ended(h, third)
    assert again["package"] == run["package"] != other["package"]
    assert again["holdout"] == run["holdout"]

    events = {event.run: event for _, event in await h.relayed(RunFinished)}
    assert events[first].package == run["package"] and events[first].promote
    assert events[third].parameters == {"shift": 2.5}
    assert sorted(event.run for _, event in await h.relayed(RunStarted)) == sorted([first, second, third])
    log = (await h.viewer.get(f"{RUNS}/{first}/logs")).text
    assert "fitted on 36 rows" in log and "cap_x" not in log and "\x1b" not in log
    followed = await h.viewer.get(f"{RUNS}/{first}/logs", params={"follow": True})
    assert followed.text.endswith('event: end\ndata: {"state": "succeeded"}\n\n')
    assert "data:     fitted on 36 rows" in followed.text

    async def logged() -> bool:
        return [run.status for run in with_training_set.mlflow.runs.values()] == ["FINISHED"] * 3

    await h.until(logged)
    kept = next(one for one in with_training_set.mlflow.runs.values() if one.tags["capstan.run"] == first)
    assert kept.tags["capstan.package"] == run["package"] and kept.metrics == run["metrics"]
    assert kept.tags["capstan.reason"] == "manual" and "seed" in kept.params


async def test_a_failing_step_is_named_with_its_last_line(
    started: Harness, recipe: Any, make_part: Callable[..., LoopPart]
) -> None:
    h = started
    await apply(h, recipe, make_part(recipe.digest))
    run = await ended(h, await start(h, behave="fail"))
    assert run["state"] == "failed"
    assert run["problem"]["detail"] == "step score failed: of no use"
    assert run["package"] is None
    assert (await h.relayed(RunFinished))[0][1].error == "step score failed: of no use"


async def test_a_package_with_a_pickle_is_refused(
    started: Harness, recipe: Any, make_part: Callable[..., LoopPart]
) -> None:
    h = started
    await apply(h, recipe, make_part(recipe.digest))
    run = await ended(h, await start(h, behave="pickle"))
    assert run["state"] == "failed"
    assert "model.pkl" in run["problem"]["detail"] and run["problem"]["errors"][0]["place"] == "package/model.pkl"


def processes_of(home: Path) -> list[int]:
    """Processes that run in a run's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(home) in os.readlink(entry / "cwd"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def test_cancel_kills_everything_and_frees_the_place(
    started: Harness, recipe: Any, make_part: Callable[..., LoopPart], tmp_path: Path
) -> None:
    h = started
    await apply(h, recipe, make_part(recipe.digest))
    run, waiting = await start(h, behave="sleep"), await start(h)
    await said(h, run, "sleeping")
    assert processes_of(tmp_path)
    assert (await h.operator.post(f"{RUNS}/{run}/cancel")).status_code == 200
    found = await ended(h, run)
    assert found["state"] == "cancelled"
    assert (await h.operator.post(f"{RUNS}/{run}/cancel")).status_code == 200
    assert (await ended(h, waiting))["state"] == "succeeded"
    assert (await h.operator.post(f"{RUNS}/{waiting}/cancel")).status_code == 409
    assert processes_of(tmp_path) == []
    states = {event.run: event.state.value for _, event in await h.relayed(RunFinished)}
    assert states[run] == "cancelled"


async def test_timeout_and_memory_are_held(
    started: Harness, recipe: Any, make_part: Callable[..., LoopPart], tmp_path: Path
) -> None:
    h = started
    resources = {"timeout": "8s", "memoryMb": 1024}
    await apply(h, recipe, make_part(recipe.digest, resources=resources))
    late = await ended(h, await start(h, behave="sleep"))
    assert late["state"] == "failed" and late["problem"]["code"] == "deadline-exceeded"
    assert "step fit" in late["problem"]["detail"] and "sleeping" in late["problem"]["detail"]
    big = await ended(h, await start(h, behave="grow"))
    assert big["state"] == "failed" and "1024 MB" in big["problem"]["detail"]
    assert processes_of(tmp_path) == []


async def test_a_killed_worker_and_a_killed_service_start_the_stage_again(
    tmp_path: Path, recipe: Any, make_part: Callable[..., LoopPart], with_training_set: Any
) -> None:
    options: dict[str, Any] = {"peers": with_training_set, "poll_s": 0.1}
    async with running(Settings, build, tmp_path, **options) as h:
        await apply(h, recipe, make_part(recipe.digest))
        plain = await ended(h, await start(h))
        run = await start(h)
        await said(h, run, "Executing task")
        for pid in processes_of(tmp_path):
            os.kill(pid, signal.SIGKILL)
        assert (await ended(h, run))["package"] == plain["package"]
        log = (await h.viewer.get(f"{RUNS}/{run}/logs")).text
        assert "attempt 2: stage pipeline starts again" in log
        other = await start(h)
        await said(h, other, "Executing task")
        bus = h.bus
    async with running(Settings, build, tmp_path, bus=bus, **options) as h:
        found = await ended(h, other)
        assert found["package"] == plain["package"]
        assert [event.run for _, event in await h.relayed(RunStarted)].count(other) == 1
        assert [event.run for _, event in await h.relayed(RunFinished)].count(other) == 1
    assert len(with_training_set.keys) == 3


async def test_retraining_and_growth_start_one_run_each(
    started: Harness, recipe: Any, make_part: Callable[..., LoopPart], with_training_set: Any
) -> None:
    h = started
    with_training_set.newest["weather"] = None
    await apply(h, recipe, make_part(recipe.digest, firstAt=3))

    async def commit(dataset: str, version: str) -> None:
        event = DatasetCommitted(dataset=dataset, version=version, batch="b" * 64, partition="p", rows=1, total_rows=1)
        await h.publish(event, subject=Urn("default", "dataset", dataset))

    async def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await h.viewer.get(RUNS)).json()["items"]
        return found

    await commit("flights", V1)
    with_training_set.newest["flights"] = V2
    await commit("flights", V2)
    await asyncio.sleep(0.5)
    assert await runs() == []
    with_training_set.newest["weather"] = "3" * 64
    await commit("weather", "3" * 64)
    (first,) = await h.until(runs)
    assert (first["reason"], first["dataset_version"]) == ("first", V2)

    request = RetrainRequested(
        request=uuid7(), loop="tiny", reason="drift", dataset="flights", dataset_version=V1, evidence={}
    )
    envelope = await h.publish(request, subject=Urn("default", "loop", "tiny"))
    await h.deliver(envelope)
    await h.publish(request, subject=Urn("default", "loop", "tiny"))
    await commit("weather", "5" * 64)

    async def both() -> list[dict[str, Any]] | None:
        found = await runs()
        return found if len(found) >= 2 and all(run["state"] == "succeeded" for run in found) else None

    found = await h.until(both, 60)
    assert [(run["reason"], run["dataset_version"], run["retrain_request"]) for run in found] == [
        ("drift", V1, request.request),
        ("first", V2, None),
    ]
    assert {event.reason for _, event in await h.relayed(RunFinished)} == {"first", "drift"}


async def test_the_tracking_system_may_be_late_and_is_told_once(
    started: Harness, recipe: Any, make_part: Callable[..., LoopPart], with_training_set: Any
) -> None:
    h = started
    with_training_set.mlflow.away = 2
    await apply(h, recipe, make_part(recipe.digest))
    run = await start(h)
    await ended(h, run)

    async def logged() -> Any:
        return (await h.viewer.get(f"{RUNS}/{run}")).json()["mlflow_run"]

    assert await h.until(logged) == "m0"
    assert len(with_training_set.mlflow.runs) == 1


async def test_features_that_cannot_be_joined_fail_the_run_with_their_reason(
    started: Harness, recipe: Any, make_part: Callable[..., LoopPart], with_training_set: Any
) -> None:
    h = started
    with_training_set.features_problem = "the view weather has no column temp"
    await apply(h, recipe, make_part(recipe.digest))
    run = await ended(h, await start(h))
    assert (run["state"], run["stage"]) == ("failed", "features")
    assert run["problem"]["detail"] == "features: the view weather has no column temp"


async def test_a_foreign_project_sees_no_run(started: Harness, recipe: Any, make_part: Callable[..., LoopPart]) -> None:
    h = started
    await apply(h, recipe, make_part(recipe.digest))
    run = await start(h)
    elsewhere = f"/v1/projects/elsewhere/runs/{run}"
    for answer in (
        await h.foreign.get(elsewhere),
        await h.foreign.get(f"{elsewhere}/logs"),
        await h.foreign.post(f"{elsewhere}/cancel"),
    ):
        assert answer.status_code == 404
