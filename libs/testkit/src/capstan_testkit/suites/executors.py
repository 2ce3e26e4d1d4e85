"""What every executor must do, seen through the training service that uses it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from capstan_contracts.loop import LoopPart
from capstan_packages.models import read_model

PartMaker = Callable[..., LoopPart]


class ExecutorBehaviour:
    """Inherit, and give the fixtures of a place and of the service's recipe.

    `place`: starts the service on the executor under test (`start`), says what still runs of any run (`going`), and
    its `name`. `caller`: makes of a harness somebody who applies loops, starts runs and looks at them. `recipe`,
    `make_part`, `with_training_set`: a small recipe that behaves as its parameter `behave` says, a loop that uses it,
    and a feature store that has its training set.
    """

    async def test_the_same_pins_give_the_package_that_they_give_on_this_machine(
        self, place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
    ) -> None:
        async with place.start(tmp_path, peers=with_training_set, executor="local") as h:
            call = caller(h)
            await call.apply(recipe, make_part(recipe.digest, parameters={"shift": 1}))
            here = await call.ended(await call.start())
        assert here["state"] == "succeeded", here
        async with place.start(tmp_path, peers=with_training_set) as h:
            call = caller(h)
            run = await call.start()
            ended = await call.ended(run)
            assert ended["state"] == "succeeded", ended
            assert (ended["package"], ended["holdout"]) == (here["package"], here["holdout"])
            assert ended["metrics"] == here["metrics"] and set(ended["metrics"]) == {"accuracy"}
            package = read_model(await h.kit.objects.local_path("default", ended["package"]))
            assert package.header.pins.code_digest == recipe.digest
            log = await call.log(run)
            assert "    fitted on 36 rows\n" in log and "cap_x" not in log and "\x1b" not in log
            assert await call.times_published(run) == (1, 1)
            await call.idle(place, tmp_path)

    async def test_a_failure_names_the_step_and_a_pickle_is_refused(
        self, place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
    ) -> None:
        async with place.start(tmp_path, peers=with_training_set) as h:
            call = caller(h)
            await call.apply(recipe, make_part(recipe.digest, resources={"cpu": 0.5, "memoryMb": 1024}))
            failing, pickling = await call.start(behave="fail"), await call.start(behave="pickle")
            failed, refused = await call.ended(failing), await call.ended(pickling)
            assert (failed["state"], failed["problem"]["detail"]) == ("failed", "step score failed: of no use")
            assert refused["state"] == "failed"
            assert refused["problem"]["errors"][0]["place"] == "package/model.pkl"
            assert "model.pkl" in refused["problem"]["detail"]
            assert "attempt 2" not in await call.log(failing) + await call.log(pickling)

    async def test_a_cancelled_run_ends_where_it_runs(
        self, place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
    ) -> None:
        async with place.start(tmp_path, peers=with_training_set) as h:
            call = caller(h)
            await call.apply(recipe, make_part(recipe.digest, resources={"cpu": 0.5, "memoryMb": 1024}))
            run = await call.start(behave="sleep")
            await call.said(run, "sleeping")
            assert place.going(tmp_path) != []
            assert (await h.operator.post(f"/v1/projects/default/runs/{run}/cancel")).status_code == 200
            assert (await call.ended(run))["state"] == "cancelled"
            await call.idle(place, tmp_path)
            assert (await call.ended(await call.start()))["state"] == "succeeded"

    async def test_time_and_memory_are_held(
        self, place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
    ) -> None:
        async with place.start(tmp_path, peers=with_training_set) as h:
            call = caller(h)
            await call.apply(
                recipe, make_part(recipe.digest, resources={"timeout": "20s", "memoryMb": 700, "cpu": 0.5})
            )
            late, big = await call.start(behave="sleep"), await call.start(behave="grow")
            ended = await call.ended(late)
            assert (ended["state"], ended["problem"]["code"]) == ("failed", "deadline-exceeded")
            assert "step fit: it ran longer than 20 s; its last line: sleeping" in ended["problem"]["detail"]
            ended = await call.ended(big)
            assert ended["state"] == "failed" and "it held more than 700 MB" in ended["problem"]["detail"]
            assert ended["problem"]["hint"] == "Raise training.resources.memoryMb in the loop."
            await call.idle(place, tmp_path)

    async def test_a_service_that_restarts_ends_what_it_began(
        self, place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
    ) -> None:
        async with place.start(tmp_path, peers=with_training_set) as h:
            call = caller(h)
            await call.apply(recipe, make_part(recipe.digest))
            run = await call.start(behave="count")
            await call.said(run, "line 9\n")
            before, bus = place.going(tmp_path), h.bus
        kept = set(before) & set(place.going(tmp_path))
        assert bool(kept) == (place.name != "local")
        async with place.start(tmp_path, peers=with_training_set, bus=bus) as h:
            call = caller(h)
            ended = await call.ended(run)
            assert ended["state"] == "succeeded", ended
            assert await call.times_published(run) == (1, 1)
            lines = [line.strip() for line in (await call.log(run)).splitlines() if line.startswith("    line ")]
            last = lines if place.name != "local" else lines[-60:]
            assert last == [f"line {number}" for number in range(60)]

    async def test_a_log_outlives_the_files_of_the_service(
        self, place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
    ) -> None:
        async with place.start(tmp_path, peers=with_training_set) as h:
            call = caller(h)
            await call.apply(recipe, make_part(recipe.digest))
            run = await call.start()
            await call.ended(run)
            log = await call.log(run)
            assert "fitted on 36 rows" in log and "[capstan] package " in log
            file = tmp_path / "logs" / "runs" / f"{run}.log"

            assert await call.stored_log(run) == hashlib.sha256(file.read_bytes()).hexdigest()
            file.unlink()
            assert await call.log(run) == log
            file.unlink()
            followed = await h.viewer.get(f"/v1/projects/default/runs/{run}/logs", params={"follow": True})
            assert followed.text.endswith('event: end\ndata: {"state": "succeeded"}\n\n')
            assert "data:     fitted on 36 rows" in followed.text

    async def test_user_code_sees_nothing_of_what_its_run_is_let_in_with(
        self, place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
    ) -> None:
        async with place.start(tmp_path, peers=with_training_set) as h:
            call = caller(h)
            await call.apply(recipe, make_part(recipe.digest))
            run = await call.start(behave="spy")
            assert (await call.ended(run))["state"] == "succeeded"
            log = await call.log(run)
            assert "found: [] closed: " in log
            assert place.name != "cluster" or "found: [] closed: 1\n" in log

    async def test_a_run_starts_within_seconds(
        self, place: Any, caller: Any, recipe: Any, make_part: PartMaker, with_training_set: Any, tmp_path: Path
    ) -> None:
        async with place.start(tmp_path, peers=with_training_set) as h:
            call = caller(h)
            await call.apply(recipe, make_part(recipe.digest))
            took: list[tuple[float, ...]] = []
            for _ in range(3):
                begun, marks = time.monotonic(), []
                run = await call.start()
                for sign in (
                    "[capstan] training set",
                    *(["[pod] "] if place.name != "local" else []),
                    "Executing task 'fit'",
                ):
                    await call.said(run, sign)
                    marks.append(round(time.monotonic() - begun, 2))
                assert (await call.ended(run))["state"] == "succeeded"
                took.append((*marks, round(time.monotonic() - begun, 2)))
            print(f"{place.name}: training set, first line of the pod, first step, end, in seconds: {took}")
            assert min(durations[-1] for durations in took) < 60
