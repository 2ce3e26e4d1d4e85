"""Model servers as Deployments: pods that are killed, deleted, forced away, edited and rolled out."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from capstan_inference.adapters.kubernetes.manifests import name_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
NAME = name_of("default", "delay")
FLUSH = "/v1/projects/default/deployments/delay/flush"
Sites = Callable[..., Any]


async def test_kill_9_of_the_data_plane_loses_no_answered_prediction(
    on_cluster: Sites, make_package: Any, row: dict[str, Any]
) -> None:
    async with on_cluster(model_segment_age_s=600) as s:
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1)
        (pod,) = s.cluster.of(NAME)
        async with s.load(row):
            for _ in range(2):
                await asyncio.sleep(1.0)
                victim = pod.data_plane()
                assert victim is not None
                os.kill(victim, signal.SIGKILL)

                async def another(old: int = victim) -> bool:
                    return pod.data_plane() not in (None, old)

                await s.h.until(another)
                before = len(s.answered)

                async def goes_on(before: int = before) -> bool:
                    return len(s.answered) > before + 10

                await s.h.until(goes_on)
        assert (pod.restarts, len(s.cluster.of(NAME))) == (0, 1)
        await s.h.operator.post(FLUSH)
        await s.all_logged_once()


async def test_kill_9_of_the_container_loses_nothing_either(
    on_cluster: Sites, make_package: Any, row: dict[str, Any]
) -> None:
    async with on_cluster(model_segment_age_s=600) as s:
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1)
        (pod,) = s.cluster.of(NAME)
        s.answered += [(await s.predict(row))["prediction_ids"][0] for _ in range(5)]
        for pid in (pod.data_plane(), pod.process.pid):
            os.kill(pid, signal.SIGKILL)

        async def back() -> bool:
            return pod.restarts == 1 and bool(pod.ready)

        await s.h.until(back, timeout=40)
        await s.all_logged_once()
        assert "lost_records_total{" not in (await s.h.anonymous.get("/metrics")).text


async def test_a_pod_told_to_end_under_load_fails_no_request_and_leaves_nothing_behind(
    on_cluster: Sites, make_package: Any, row: dict[str, Any]
) -> None:
    async with on_cluster(model_segment_age_s=600, model_replicas=2) as s:
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1)
        pods = s.cluster.of(NAME)
        async with s.load(row):
            await asyncio.sleep(0.5)
            await s.cluster.delete_pod(pods[0])

            async def replaced() -> bool:
                found = s.cluster.of(NAME)
                return len(found) == 2 and pods[0] not in found and all(pod.ready for pod in found)

            await s.h.until(replaced, timeout=40)
            await s.reaches(state="serving", message="")
        assert s.failed == []
        await s.h.operator.post(FLUSH)
        await s.all_logged_once()


async def test_a_forced_deletion_is_replaced_alarmed_and_what_it_lost_is_counted(
    on_cluster: Sites, make_package: Any, row: dict[str, Any]
) -> None:
    async with on_cluster(model_segment_age_s=600) as s:
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1)
        for _ in range(7):
            await s.predict(row)
        await asyncio.sleep(0.6)  # a report or two
        (pod,) = s.cluster.of(NAME)
        s.cluster.full = True
        await s.cluster.delete_pod(pod, force=True)
        await s.reaches(state="degraded")
        assert 'model_servers_available{deployment="delay",project="default"} 0.0' in await metrics(s)
        s.cluster.full = False
        found = await s.reaches(
            state="serving", message=f"7 records of the prediction log were lost with {pod.name}", seconds=40
        )
        assert found["revision"] == 1
        text = await metrics(s)
        assert 'lost_records_total{deployment="delay",project="default"} 7.0' in text
        assert (await s.predict(row))["model_version"] == 1
        await s.promote(make_package(1.0), 2)
        await s.reaches(model_version=2, message="")


async def metrics(s: Any) -> str:
    await asyncio.sleep(1.2)  # the watch looks once a second
    return str((await s.h.anonymous.get("/metrics")).text)


async def test_what_is_deleted_or_edited_by_hand_comes_back(on_cluster: Sites, make_package: Any) -> None:
    async with on_cluster() as s:
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1, state="serving")
        written = s.cluster.deployments[NAME]["spec"]
        await s.cluster.delete("Deployment", NAME)
        await s.reaches(state="degraded")
        await s.reaches(state="serving", message="", seconds=60)
        edited = s.cluster.deployments[NAME]
        edited["spec"] = {**edited["spec"], "replicas": 0}
        edited["metadata"]["generation"] += 1

        async def restored() -> bool:
            return NAME in s.cluster.deployments and s.cluster.deployments[NAME]["spec"] == written

        await s.h.until(restored)
        await s.reaches(state="serving", message="", seconds=60)


async def test_a_restarted_control_finds_its_servers_serving_and_rolls_nothing(
    on_cluster: Sites, make_package: Any, fake_cluster: Any, row: dict[str, Any]
) -> None:
    async with on_cluster() as s:
        port = int(s.h.kit.settings.control_url.rsplit(":", 1)[1])
        await s.promote(make_package(), 1)
        await s.reaches(model_version=1)
        (pod,) = fake_cluster.of(NAME)
    answers = [(await s.predict(row))["prediction_ids"][0] for _ in range(3)]  # the control is not needed for this
    async with on_cluster(port=port) as s:
        s.answered += answers
        await s.reaches(model_version=1, state="serving", message="")
        await s.h.operator.post(FLUSH)
        await s.all_logged_once()
        assert fake_cluster.of(NAME) == [pod] and pod.restarts == 0


async def test_an_image_that_cannot_be_had_is_said_and_taken_back(
    on_cluster: Sites, make_package: Any, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capstan_inference.adapters.kubernetes.rollout.STUCK_FOR_S", 0.5)
    async with on_cluster() as s:
        s.cluster.bad_images.add("capstan/inference:fake")
        await s.promote(make_package(), 1)

        async def tried() -> bool:
            return bool(s.cluster.of(NAME))

        await s.h.until(tried)
        await asyncio.sleep(1.5)
        assert (await s.deployment())["state"] == "loading"
        s.cluster.bad_images.clear()
        for pod in s.cluster.of(NAME):
            await s.cluster.delete_pod(pod)
        await s.reaches(state="serving", seconds=60)
        with suppress(httpx.HTTPError):
            assert (await s.predict(row))["model_version"] == 1
