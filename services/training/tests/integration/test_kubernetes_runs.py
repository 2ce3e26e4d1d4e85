"""What can happen to a run on a cluster, and what people are told of it. Pods are processes of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan_contracts.loop import LoopPart

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
PartMaker = Callable[..., LoopPart]
RUNS = "/v1/projects/default/runs"


def counted(log: str) -> list[str]:
    return [line.strip() for line in log.splitlines() if line.startswith("    line ")]


WHOLE = [f"line {number}" for number in range(60)]


async def test_an_image_that_cannot_be_had_is_named(
    fake_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    fake_place.fake.absent_images.add("capstan/training:test")
    async with fake_place.start(tmp_path, peers=with_training_set) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest))
        run = await call.start()
        await call.progresses(run, "waiting: the image capstan/training:test cannot be had (ErrImagePull")
        ended = await call.ended(run)
        assert ended["state"] == "failed"
        assert "check CAPSTAN_TRAINING_RUN_IMAGE" in ended["problem"]["detail"]
        assert "attempt 2" not in await call.log(run)

        async def deleted() -> bool:
            return ("DELETE job", f"run-{run}") in fake_place.fake.requests

        await h.until(deleted)


async def test_a_run_without_room_waits_and_says_so_until_its_timeout(
    fake_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    async with fake_place.start(tmp_path, peers=with_training_set) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest, resources={"cpu": 64, "timeout": "6s"}))
        run = await call.start()
        reason = "no node can take the pod now: 0/1 nodes are available: 1 Insufficient cpu."
        await call.progresses(run, f"pipeline: waiting: {reason}")
        ended = await call.ended(run)
        assert ended["problem"]["code"] == "deadline-exceeded"
        assert ended["problem"]["detail"] == f"pipeline: it could not start within 6 s: {reason}"
        assert (await call.log(run)).count(reason) == 2


async def test_an_evicted_pod_is_replaced_and_a_deleted_one_makes_a_second_job(
    fake_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    fake = fake_place.fake
    async with fake_place.start(tmp_path, peers=with_training_set) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest))
        plain = await call.ended(await call.start())
        evicted = await call.start(behave="count")
        await call.said(evicted, "line 5\n")
        fake.evict()
        ended = await call.ended(evicted)
        assert ended["state"] == "succeeded"
        assert ended["holdout"] == plain["holdout"]
        log = await call.log(evicted)
        assert counted(log)[-60:] == WHOLE
        assert "its pod was taken away (EvictionByEvictionAPI" in log and "attempt 2" not in log

        deleted = await call.start(behave="count")
        await call.said(deleted, "line 5\n")
        fake.delete_pods()
        assert (await call.ended(deleted))["state"] == "succeeded"
        log = await call.log(deleted)
        assert counted(log)[-60:] == WHOLE and "attempt 2" in log
        names = [name for what, name in fake.requests if what == "POST job"]
        assert names.count(f"run-{deleted}-2") == names.count(f"run-{deleted}") == 1
        assert f"run-{evicted}-2" not in names
        assert await call.times_published(deleted) == await call.times_published(evicted) == (1, 1)


async def test_broken_streams_and_an_absent_api_lose_and_double_no_line(
    fake_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    fake = fake_place.fake
    async with fake_place.start(tmp_path, peers=with_training_set) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest))
        run = await call.start(behave="count")
        for number in (5, 15, 25):
            await call.said(run, f"line {number}\n")
            fake.cut_logs()
        fake.broken = True
        await call.progresses(run, "waiting: Kubernetes answered 503: etcd is not there")
        fake.broken = False
        assert (await call.ended(run))["state"] == "succeeded"
        assert counted(await call.log(run)) == WHOLE


async def test_a_run_that_ended_while_the_service_was_away_is_read_and_not_repeated(
    fake_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    fake = fake_place.fake
    async with fake_place.start(tmp_path, peers=with_training_set) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest))
        run = await call.start(behave="count")
        await call.said(run, "line 40\n")
        bus = h.bus
    (pod,) = fake.pods.values()
    async with asyncio.timeout(30):
        while b"waiting for the training service" not in pod.lines[-1][1]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for file in (tmp_path / "logs" / "runs").iterdir():
        file.unlink()  # the pod of the service was replaced
    async with fake_place.start(tmp_path, peers=with_training_set, bus=bus) as h:
        call = caller(h)
        assert (await call.ended(run))["state"] == "succeeded"
        assert counted(await call.log(run)) == WHOLE
        assert [what for what, _ in fake.requests].count("POST job") == 1


async def test_the_cancel_of_a_service_that_stops_at_once_still_reaches_the_job(
    fake_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    async with fake_place.start(tmp_path, peers=with_training_set) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest))
        run = await call.start(behave="sleep")
        await call.said(run, "sleeping")
        assert (await h.operator.post(f"{RUNS}/{run}/cancel")).status_code == 200
        bus = h.bus
    async with fake_place.start(tmp_path, peers=with_training_set, bus=bus) as h:
        call = caller(h)
        assert (await call.ended(run))["state"] == "cancelled"
        await call.idle(fake_place, tmp_path)
        assert fake_place.fake.jobs == {}


async def test_the_token_of_a_run_opens_that_run_alone(
    fake_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    fake = fake_place.fake
    async with fake_place.start(tmp_path, peers=with_training_set) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest))
        run, other = await call.start(behave="sleep"), await call.start(behave="sleep")
        await call.said(run, "sleeping")
        await call.said(other, "sleeping")
        token = fake.secrets[f"run-{run}"]["stringData"]["token"]
        mine = {"authorization": f"Bearer {token}"}

        async def get(path: str) -> httpx.Response:
            answer: httpx.Response = await h.anonymous.get(path, headers=mine)
            return answer

        order = (await get(f"{RUNS}/{run}/pod/order")).json()
        assert order["wants_training_set"] and order["label"] == "late"
        assert (await get(f"{RUNS}/{run}/pod/inputs/training-set")).content[:4] == b"PAR1"
        assert (await get(f"{RUNS}/{run}/pod/inputs/passwords")).status_code == 404
        for path in (
            f"{RUNS}/{other}/pod/order",
            f"/v1/projects/elsewhere/runs/{run}/pod/order",
            RUNS,
            f"{RUNS}/{run}",
        ):
            assert (await get(path)).status_code == 401, path
        assert (await h.service.get(f"{RUNS}/{run}/pod/order")).status_code == 403
        assert token not in (tmp_path / "db" / "training.db").read_bytes().decode("latin-1")

        for one in (run, other):
            await h.operator.post(f"{RUNS}/{one}/cancel")
            await call.ended(one)
        assert (await get(f"{RUNS}/{run}/pod/order")).status_code == 401


async def test_what_a_pod_hands_in_is_checked(
    fake_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    async with fake_place.start(tmp_path, peers=with_training_set) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest))
        run = await call.start(behave="sleep")
        await call.said(run, "sleeping")
        token = fake_place.fake.secrets[f"run-{run}"]["stringData"]["token"]
        pod, mine = f"{RUNS}/{run}/pod", {"authorization": f"Bearer {token}"}
        wrong = await h.anonymous.put(f"{pod}/outputs/package/{'0' * 64}", headers=mine, content=b"other bytes")
        assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid-data")
        unknown = await h.anonymous.put(f"{pod}/outputs/log/{'0' * 64}", headers=mine, content=b"")
        assert unknown.status_code == 404
        early = await h.anonymous.put(f"{pod}/outcome", headers=mine, json={"kind": "made"})
        assert early.status_code == 400
        said = await h.anonymous.put(f"{pod}/outcome", headers=mine, json={"kind": "failed", "detail": "first word"})
        assert said.status_code == 204
        again = await h.anonymous.put(f"{pod}/outcome", headers=mine, json={"kind": "failed", "detail": "second"})
        assert again.status_code == 204
        fake_place.fake.delete_pods()
        ended = await call.ended(run)
        assert ended["problem"]["detail"] == "step fit failed: first word"


async def test_the_order_of_the_objects_is_what_the_cluster_asks_for(
    fake_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    fake = fake_place.fake
    async with fake_place.start(tmp_path, peers=with_training_set) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest, resources={"cpu": 0.5, "memoryMb": 900, "timeout": "5m"}))
        run = await call.start()
        await call.ended(run)
        job = fake.jobs[f"run-{run}"]
        labels, spec = job["metadata"]["labels"], job["spec"]
        assert (labels["capstan.dev/run"], labels["capstan.dev/loop"]) == (run, "tiny")
        assert (labels["app.kubernetes.io/component"], labels["app.kubernetes.io/instance"]) == (
            "training-run",
            "capstan",
        )
        assert (spec["activeDeadlineSeconds"], spec["backoffLimit"]) == (300, 0)
        pod = spec["template"]["spec"]
        container = pod["containers"][0]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert container["resources"]["limits"] == {"cpu": "500m", "memory": "900Mi"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        token = fake.secrets[f"run-{run}"]
        assert token["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
        assert token["stringData"]["token"] not in str(job)
        assert len(list(fake.pods)) == 1


async def test_a_busy_cluster_may_set_less_processor_aside_than_a_run_may_use(
    fake_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    fake = fake_place.fake
    async with fake_place.start(tmp_path, peers=with_training_set, run_cpu_request_share=0.25) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest, resources={"cpu": 2, "memoryMb": 900}))
        run = await call.start()
        await call.ended(run)
        resources = fake.jobs[f"run-{run}"]["spec"]["template"]["spec"]["containers"][0]["resources"]
        assert resources == {
            "requests": {"cpu": "500m", "memory": "900Mi"},
            "limits": {"cpu": "2000m", "memory": "900Mi"},
        }
