"""What happens to a platform on a cluster besides its work: pods go, a run has too little memory, releases change."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from demo.chapter import LOOP, Chapter, Plan, Seen
from demo.steps import Screen, Step
from demo.traffic import questions

import deploy
from capstan_client.cli.loop import hand_in
from capstan_client.sdk import Capstan
from capstan_client.sdk.transport import CapstanProblem, Unreachable, poll
from capstan_contracts.ids import SERVICES
from capstan_contracts.rest.ingestion import Batch
from capstan_contracts.rest.training import RunRequest
from e2e.traffic import Traffic

PATIENCE_S = 180
WRONG_PASSWORD = "postgresql+asyncpg://nobody:wrong@capstan-data-postgresql:5432/capstan_monitoring"


@dataclass
class Days:
    """A month of weather that the story has not played, cut into days: each becomes a batch of its own."""

    month: Path
    folder: Path

    def __iter__(self) -> Iterator[tuple[str, Path]]:
        """Partition and file of each day."""
        table = pq.read_table(self.month)
        day = pc.strftime(table["observed_hour"], format="%Y-%m-%d")
        for name in pc.unique(day).to_pylist():
            file = self.folder / f"{name}.parquet"
            pq.write_table(table.filter(pc.equal(day, pa.scalar(name))), file)
            yield name, file


class ClusterChapter(Chapter):
    """Disturbances, each judged by what the services answer afterwards."""

    def __init__(self, capstan: Capstan, plan: Plan, screen: Screen, seen: Seen, place: deploy.Place) -> None:
        super().__init__(capstan, plan, screen, seen)
        self.place = place
        self._before: int | None = None
        self._traffics: list[Traffic] = []

    # --- what is counted ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def traffic(self) -> AsyncIterator[Traffic]:
        """Prediction traffic on the last month, which nobody else plays."""
        if self._before is None:
            self._before = await self.recorded(0)
        columns = [column.name for column in self.resolved.definitions.service.request]
        rows = await asyncio.to_thread(questions, self.file("flights", self.plan.months[-1]), columns, 500)
        traffic = Traffic(self.capstan, LOOP, rows)
        self._traffics.append(traffic)
        async with traffic.running():
            yield traffic

    async def recorded(self, expected: int) -> int:
        """Predictions that monitoring knows of, once those that are expected have arrived, and none comes after them.

        Events travel at least once: what a deleted pod had taken and not finished comes again after a while.
        """
        until = asyncio.get_running_loop().time() + PATIENCE_S
        await self.capstan.inference.flush(LOOP)
        seen = -1
        while True:
            now = (await self.capstan.monitoring.monitor(LOOP)).predictions
            late = asyncio.get_running_loop().time() > until
            if now == seen and (now >= expected or late):
                return now
            seen = now
            await asyncio.sleep(3)

    async def dead_letters(self) -> list[str]:
        found = [(name, await self.capstan.service(name).dead_letters()) for name in SERVICES]
        return [f"{name}: {letter.event_type} ({letter.reason})" for name, letters in found for letter in letters]

    async def judge(self, step: Step, traffic: Traffic) -> None:
        """What must hold after every disturbance. Predictions are counted from the first one on, over all of them."""
        answered = sum(one.answered for one in self._traffics)
        cut = sum(one.cut for one in self._traffics)
        began = asyncio.get_running_loop().time()
        recorded = await self.recorded((self._before or 0) + answered) - (self._before or 0)
        arrived_s = asyncio.get_running_loop().time() - began
        champion = await self.capstan.registry.champion(LOOP)
        deployment = await self.serving(champion.version)
        ledger = await self.capstan.registry.verify_ledger()
        letters = await self.dead_letters()
        step.figures |= {
            "answered": traffic.answered,
            "failed": dict(traffic.failed),
            "cut": traffic.cut,
            "answered_so_far": answered,
            "recorded_so_far": recorded,
            "all_recorded_after_s": round(arrived_s, 1),
            "versions": dict(traffic.versions),
            "dead_letters": letters,
        }
        if recorded < answered:
            step.figures["unknown_to_inference"] = await self._unknown(traffic)
        step.check("no prediction failed", not traffic.failed)
        step.check("every answered prediction is in the log", recorded >= answered)
        step.check("none is there that nobody asked for", recorded <= answered + cut)
        step.check("one champion, and it is what serves", deployment.model_version == champion.version)
        step.check("no other version answered", set(traffic.versions) <= {champion.version})
        step.check("the ledger is intact", ledger.intact)
        step.check("no dead letter", not letters)

    async def _unknown(self, traffic: Traffic) -> list[str]:
        """Of the predictions that were answered, those that inference has in no segment: the log never left its pod."""
        missing = []
        for identity in traffic.ids:
            try:
                await self.capstan.inference.prediction(identity)
            except CapstanProblem as error:
                if error.problem.status != 404:
                    raise
                missing.append(identity)
        return missing

    # --- pods ---------------------------------------------------------------------------------------------------------

    async def pods(self, step: Step) -> None:
        """Delete each pod in turn, the data services' too, while months arrive and predictions are asked for."""
        rows = (await self.capstan.ingestion.dataset("weather")).rows
        names = await self._pods()
        with tempfile.TemporaryDirectory() as folder:
            days = iter(Days(self.file("weather", self.plan.months[-1]), Path(folder)))
            sent: list[tuple[str, int]] = []
            async with self.traffic() as traffic:
                for name, uid in names.items():
                    partition, file = next(days)
                    self.screen.busy(f"deleting pod {name}")
                    upload = asyncio.create_task(self._hand_in_until_taken(file, partition))
                    await asyncio.to_thread(deploy.kubectl, self.place, "delete", "pod", name, "--wait=false")
                    batch = await upload
                    sent.append((partition, batch.rows or 0))
                    await self._whole_again(gone=uid)
                    self.screen.say(f"pod {name} deleted and replaced; weather of {partition} committed meanwhile")
        dataset = await self.capstan.ingestion.dataset("weather")
        manifest = await self.capstan.ingestion.version("weather", dataset.latest or "")
        partitions = [file.partition for file in manifest.files]
        step.check("each batch is there once", all(partitions.count(name) == 1 for name, _ in sent))
        step.check("no row is lost or doubled", dataset.rows == rows + sum(count for _, count in sent))
        await self._online(dataset.latest or "")
        await self.judge(step, traffic)
        step.observed = f"{len(names)} pods; {traffic.sentence()}; {len(sent)} batches committed once"
        step.figures |= {"pods": list(names), "batches": len(sent)}

    async def _hand_in_until_taken(self, file: Path, partition: str) -> Batch:
        """As a scheduler would: the same file again until there is an answer. A batch is known by its content."""
        until = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            try:
                return await self.commit("weather", file, partition)
            except Unreachable:
                if asyncio.get_running_loop().time() > until:
                    raise

    async def _pods(self) -> dict[str, str]:
        """Name and uid of each pod that runs."""

        def look() -> dict[str, str]:
            found = json.loads(deploy.kubectl(self.place, "get", "pods", "--output", "json"))["items"]
            running = [one for one in found if one["status"].get("phase") == "Running"]
            return dict(sorted((one["metadata"]["name"], one["metadata"]["uid"]) for one in running))

        return await asyncio.to_thread(look)

    async def _whole_again(self, gone: str = "") -> None:
        """The pod with that uid is gone (a StatefulSet's next one has its name), and every pod is ready."""

        async def whole() -> bool:
            if gone in (await self._pods()).values():
                return False
            return not await asyncio.to_thread(deploy.not_ready, self.place)

        await asyncio.sleep(2)  # what was just asked for has begun
        await poll(whole, bool, timeout_s=PATIENCE_S, every_s=1)

    async def _online(self, latest: str) -> None:
        await self.until(
            self.capstan.features.views,
            lambda views: all(one.dataset_version == latest for one in views if one.spec.dataset == "weather"),
        )

    # --- a run with too little memory ---------------------------------------------------------------------------------

    async def memory(self, step: Step) -> None:
        """A run that may hold less memory than it needs fails with the reason, and the loop goes on."""
        with self._changed_loop("memoryMb: 2048", "memoryMb: 256") as file:
            await hand_in(self.capstan, file)
        run = await self.capstan.training.start(RunRequest(loop=LOOP))
        run = await self.capstan.training.wait_for_run(run.id, timeout_s=self.plan.patience_s)
        said = run.problem.detail if run.problem else ""
        status = await hand_in(self.capstan, self.plan.recipe / "loop.yaml")
        step.check("the run failed", run.state.value == "failed")
        step.check("it says that memory was too little, and how much it may hold", "256 MB" in said)
        step.check("the loop is as it was", status.applied)
        step.figures = {"run": run.id, "problem": said}
        step.observed = said

    @contextmanager
    def _changed_loop(self, old: str, new: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "recipe"
            shutil.copytree(self.plan.recipe, copy, ignore=shutil.ignore_patterns("data", "__pycache__", "tests"))
            text = (copy / "loop.yaml").read_text()
            assert old in text
            (copy / "loop.yaml").write_text(text.replace(old, new))
            yield copy / "loop.yaml"

    # --- releases -----------------------------------------------------------------------------------------------------

    async def upgrade(self, step: Step) -> None:
        """Other values, then back again, under traffic."""
        async with self.traffic() as traffic:
            seconds = await asyncio.to_thread(deploy.deploy, self._louder())
            await self._whole_again()
            rolled = asyncio.get_running_loop().time()
            command = deploy.helm(self.place, "rollback", self.place.release, "--wait", "--timeout", "420s")
            await asyncio.to_thread(deploy.call, *command)
            await self._whole_again()
            rolled = asyncio.get_running_loop().time() - rolled
        await self.judge(step, traffic)
        step.figures |= {"upgrade_s": round(seconds, 1), "rollback_s": round(rolled, 1)}
        step.observed = f"upgrade {seconds:.0f} s, rollback {rolled:.0f} s; {traffic.sentence()}"

    def _louder(self) -> deploy.Place:
        return replace(self.place, settings=(*self.place.settings, "global.logLevel=DEBUG"))

    # --- wrong values -------------------------------------------------------------------------------------------------

    async def wrong_values(self, step: Step) -> None:
        """Each is told by name, and what runs goes on."""
        said: dict[str, str] = {}
        async with self.traffic() as traffic:
            said["typo"] = await self._refused("ingestion.replica=2")
            said["missing secret"] = await self._refused("global.data.secret=absent")
            with self._secret_with(**{"monitoring-database-url": WRONG_PASSWORD}) as name:
                wrong = (f"global.data.secret={name}", "global.data.nats.url=nats://capstan-data-nats:4223")
                pods = await self._pods_say(("monitoring", "registry"), wrong)
            said |= {"wrong password": pods["monitoring"], "wrong broker": pods["registry"]}
        await self.judge(step, traffic)
        for what, words in {
            "typo": "'replica'",
            "missing secret": "absent",
            "wrong password": "refuses user 'nobody'",
            "wrong broker": "capstan-data-nats:4223 cannot be reached",
        }.items():
            step.check(f"{what}: it is named", words in said[what])
        step.figures |= said
        step.observed = f"{len(said)} told by name; {traffic.sentence()}"

    async def _refused(self, setting: str) -> str:
        """What helm answers to a value."""
        wrong = replace(self.place, settings=(*self.place.settings, setting), data_services=False)
        try:
            await asyncio.to_thread(deploy.deploy, wrong)
        except deploy.DeployError as error:
            return str(error)
        return ""

    async def _pods_say(self, services: tuple[str, ...], settings: tuple[str, ...]) -> dict[str, str]:
        """What new pods end with under values that helm cannot judge; then back to what was."""
        wrong = replace(self.place, settings=(*self.place.settings, *settings))
        await asyncio.to_thread(deploy.call, *deploy.upgrade_platform(wrong))

        def look() -> dict[str, str]:
            found = {name: why for name, why in deploy.not_ready(self.place) if ": " in why}
            return {
                service: why
                for service in services
                for name, why in found.items()
                if name.startswith(f"{self.place.release}-{service}-")
            }

        said = await poll(
            lambda: asyncio.to_thread(look), lambda found: len(found) == len(services), timeout_s=PATIENCE_S, every_s=1
        )
        command = deploy.helm(self.place, "rollback", self.place.release, "--wait", "--timeout", "420s")
        await asyncio.to_thread(deploy.call, *command)
        await self._whole_again()
        return said

    async def undeploy(self, step: Step) -> None:
        """Nothing of ours is left; the data services are, and in them every prediction that was answered."""
        logged = await self._rows_of_segments()
        async with self.traffic() as traffic:
            await asyncio.sleep(3)
        await asyncio.to_thread(deploy.undeploy, self.place)
        logged = await self._rows_of_segments() - logged

        def left() -> list[str]:
            ours = f"app.kubernetes.io/part-of=capstan,app.kubernetes.io/instance={self.place.release}"
            kinds = "pods,deployments,services,jobs,secrets,configmaps,networkpolicies,roles"
            return deploy.kubectl(self.place, "get", kinds, "--selector", ours, "--output", "name").split()

        found = await poll(lambda: asyncio.to_thread(left), lambda names: not names, timeout_s=PATIENCE_S, every_s=1)
        pods = await self._pods()
        step.check("nothing of ours is left", not found)
        step.check("the data services run on", len([name for name in pods if "-data-" in name]) == 4)
        step.check("predictions were answered before it", traffic.answered > 0 and not traffic.failed)
        step.check("they are in the log", logged == traffic.answered)
        step.figures = {"answered": traffic.answered, "logged": logged, "left": list(pods)}
        step.observed = f"{logged} of the last {traffic.answered} predictions logged; left: {', '.join(pods)}"

    async def _rows_of_segments(self) -> int:
        """Predictions in the segments that inference has told of, from its database itself."""
        query = "SELECT coalesce(sum(rows), 0) FROM segments"
        psql = ("psql", "--username=postgres", "--dbname=inference", "--no-align", "--tuples-only", "-c", query)
        pod = f"{self.place.release}-data-postgresql-0"
        return int(await asyncio.to_thread(deploy.kubectl, self.place, "exec", pod, "--", *psql))

    @contextmanager
    def _secret_with(self, **changed: str) -> Iterator[str]:
        """A copy of the Secret of the data services, in which some keys are others."""
        secret = json.loads(deploy.kubectl(self.place, "get", "secret", "capstan-data", "--output", "json"))
        name = "capstan-data-wrong"
        copy = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": secret["data"]}
        deploy.kubectl(self.place, "apply", "--filename", "-", stdin=json.dumps(copy | {"stringData": changed}))
        try:
            yield name
        finally:
            deploy.kubectl(self.place, "delete", "secret", name)
