"""The same on a real cluster, where the words of the kubelet and the scheduler are their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Pod, PodEviction

from capstan_contracts.loop import LoopPart

pytestmark = [pytest.mark.integration, pytest.mark.cluster, pytest.mark.timeout(240)]
PartMaker = Callable[..., LoopPart]


async def test_an_absent_image_and_a_full_cluster_are_told(
    cluster_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    image = "capstan.invalid/training:absent"
    async with cluster_place.start(tmp_path, peers=with_training_set, run_image=image) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest))
        ended = await call.ended(await call.start())
        assert f"the image {image} cannot be had (" in ended["problem"]["detail"]
        await call.apply(recipe, make_part(recipe.digest, generation=2, resources={"cpu": 500, "timeout": "10s"}))
        run = await call.start()
        await call.progresses(run, "pipeline: waiting: no node can take the pod now: 0/")
        ended = await call.ended(run)
        assert "it could not start within 10 s: no node can take the pod now" in ended["problem"]["detail"]
        await call.idle(cluster_place, tmp_path, 60)


async def test_a_pod_that_is_deleted_or_evicted_is_replaced(
    cluster_place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
) -> None:
    async with cluster_place.start(tmp_path, peers=with_training_set) as h:
        call = caller(h)
        await call.apply(recipe, make_part(recipe.digest))
        deleted = await call.start(behave="count")
        await call.said(deleted, "line 5\n")
        (pod,) = cluster_place.going(tmp_path)
        cluster_place.client.delete(Pod, pod, namespace=cluster_place.namespace)
        assert (await call.ended(deleted))["state"] == "succeeded"
        log = await call.log(deleted)
        assert "attempt 2" in log and log.count("    line 59\n") == 1

        evicted = await call.start(behave="count")
        await call.said(evicted, "line 5\n")
        (pod,) = cluster_place.going(tmp_path)
        meta = ObjectMeta(name=pod, namespace=cluster_place.namespace)
        cluster_place.client.create(PodEviction(metadata=meta), pod)
        assert (await call.ended(evicted))["state"] == "succeeded"
        log = await call.log(evicted)
        assert "its pod was taken away" in log and "attempt 2" not in log and log.count("    line 59\n") == 1
        assert await call.times_published(deleted) == await call.times_published(evicted) == (1, 1)
