"""`make test-e2e`: the loop on the cluster of the current context, and what a cluster does to it.

Images are built and brought there, data services for development and the umbrella chart are installed into a namespace
of their own, the demo's story is played against it, and then it is disturbed. Exit status 1 when a step does not hold;
logs and manifests are left in the report's folder then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from demo import report, year
from demo.chapter import LOOP, Plan, Seen
from demo.screen import Terminal
from demo.steps import Step, StepFailed, play
from demo.story import Story
from demo.year import ROOT

import deploy
from capstan_client.cli.cluster import command as connection
from capstan_client.cli.platform import start_in_background
from capstan_client.cluster.connector import Via
from capstan_client.cluster.kubectl import Target, connection_folder
from capstan_client.platform.home import Home
from capstan_client.platform.processes import end
from capstan_client.sdk import Capstan
from capstan_client.sdk.transport import poll
from capstan_contracts.ids import SERVICES
from e2e import measure
from e2e.chapter import ClusterChapter

FIRST_PREDICTION_GOAL_S, CPU_GOAL, MEMORY_GOAL_MIB = 300.0, 0.5, 2048.0
ROLLBACK_GOAL_S = 60.0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make test-e2e E2E_ARGS=...", description=__doc__)
    parser.add_argument("--context", default="", help="kubectl's context (default: the current one)")
    parser.add_argument("--namespace", default="capstan-e2e", help="made new, and removed at the end")
    parser.add_argument("--tag", default="e2e", help="tag of the images")
    loader = os.environ.get("CAPSTAN_IMAGE_LOADER", "")
    parser.add_argument("--load", default=loader, help="program that takes images there (a kind cluster needs none)")
    parser.add_argument("--no-build", action="store_true", help="the images are there already")
    parser.add_argument("--via", choices=[one.value for one in Via], default=os.environ.get("CAPSTAN_VIA", "forward"))
    parser.add_argument("--rows", type=int, default=4000, help="predictions per month")
    parser.add_argument("--story-only", action="store_true", help="do not disturb")
    parser.add_argument("--keep", action="store_true", help="leave the namespace")
    parser.add_argument("--out", type=Path, default=ROOT / "e2e-report")
    return parser.parse_args()


class Run:
    """One whole test."""

    def __init__(self, given: argparse.Namespace, screen: Terminal) -> None:
        self.given, self.screen = given, screen
        self.steps: list[Step] = []
        self.seen = Seen()
        self.figures: dict[str, Any] = {}
        context = given.context or deploy.current_context()
        self.place = deploy.Place(
            context, given.namespace, tag=given.tag, values=(str(deploy.CHART / "ci" / "e2e-values.yaml"),)
        )
        self.target = Target(context, given.namespace)
        self.home = Home(connection_folder(given.out.absolute() / "home", self.target))

    async def tell(self) -> None:
        """From images to roll-back."""
        # A version serves from pods of its own here, which have to start.
        plan = replace(year.make(self.given.rows, self.screen), rollback_goal_s=ROLLBACK_GOAL_S)
        await self._step("images", "six images are built and on the cluster", self._images)
        await asyncio.to_thread(self._remove)
        began = time.monotonic()
        await self._step("install", "data services and the umbrella chart; every pod is ready", self._install)
        await asyncio.to_thread(self._connect)
        async with Capstan.connect(self.home.folder) as capstan:
            await self._story(capstan, plan, began)
            await self._step("idle", f"<= {CPU_GOAL:g} CPU and <= {MEMORY_GOAL_MIB:g} MiB for all of ours", self._idle)
            if self.given.story_only:
                return
            chapter = ClusterChapter(capstan, plan, self.screen, self.seen, self.place)
            for name, expected, body in (
                ("each pod is deleted", "nothing lost or doubled, no failed prediction", chapter.pods),
                ("a run with too little memory", "fails with the reason; the loop goes on", chapter.memory),
                ("upgrade and roll-back", "other values and back, no failed prediction", chapter.upgrade),
                ("wrong values", "each told by name; what runs goes on", chapter.wrong_values),
                ("undeploy", "nothing of ours is left; data stays", chapter.undeploy),
            ):
                await self._step(name, expected, body)

    async def _step(self, name: str, expected: str, body: Any) -> None:
        step = Step(name, expected)
        self.steps.append(step)
        await play(step, body, self.screen)

    async def _images(self, step: Step) -> None:
        if self.given.no_build:
            step.check("they were said to be there", True)
            step.observed = f"not built here: tag {self.given.tag} is expected on the cluster"
            return
        command = [sys.executable, str(ROOT / "tools" / "images.py"), "--tag", self.given.tag, "--json"]
        loader = self.given.load or deploy.kind_loader(self.place.context)
        command += ["--load", loader] if loader else []
        done = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE, text=True, check=False)
        step.check("they were built", done.returncode == 0)
        built = json.loads(done.stdout) if done.returncode == 0 else []
        step.check("one per service", len(built) == len(SERVICES))
        megabytes = {one["image"]: round(one["bytes"] / 1e6) for one in built}
        step.figures = {"built": built}
        step.observed = ", ".join(f"{image} {size} MB" for image, size in megabytes.items())
        self.figures["image_mb"] = megabytes

    async def _install(self, step: Step) -> None:
        seconds = await asyncio.to_thread(deploy.deploy, self.place)
        missing = await asyncio.to_thread(deploy.not_ready, self.place)
        step.check("every pod is ready", not missing)
        step.figures = {"seconds": round(seconds, 1)}
        step.observed = f"ready after {seconds:.0f} s"
        self.figures["install_s"] = round(seconds, 1)

    def _connect(self) -> None:
        start_in_background(self.home, connection(self.home.folder, self.target, Via(self.given.via)), quiet=True)

    async def _story(self, capstan: Capstan, plan: Plan, began: float) -> None:
        story = Story(capstan, plan, self.screen)
        self.seen = story.seen
        try:
            await story.tell({"first champion": lambda: self._first_prediction(capstan, story, began)})
        finally:
            self.steps += story.steps

    async def _first_prediction(self, capstan: Capstan, story: Story, began: float) -> None:
        expected = f"<= {FIRST_PREDICTION_GOAL_S:g} s after the installation began"
        await self._step("first prediction", expected, self._ask(capstan, story, began))

    def _ask(self, capstan: Capstan, story: Story, began: float) -> Any:
        async def body(step: Step) -> None:
            answer = await story.one_prediction()
            seconds = time.monotonic() - began
            step.check("it is answered", len(answer["predictions"]) == 1)
            step.check("in time", seconds <= FIRST_PREDICTION_GOAL_S)
            await capstan.inference.flush(LOOP)
            monitor = await poll(
                lambda: capstan.monitoring.monitor(LOOP), lambda seen: bool(seen.predictions), timeout_s=60
            )
            step.check("it is in the log, once", monitor.predictions == 1)
            step.figures = {"seconds": round(seconds, 1)}
            step.observed = f"{seconds:.0f} s from the start of the installation"
            self.figures["first_prediction_s"] = round(seconds, 1)

        return body

    async def _idle(self, step: Step) -> None:
        found = await asyncio.to_thread(measure.idle, self.place)
        total = measure.ours(self.place, found)
        step.check("the cluster has figures", bool(found))
        step.check(f"at most {CPU_GOAL:g} CPU", total["cpu"] <= CPU_GOAL)
        step.check(f"at most {MEMORY_GOAL_MIB:g} MiB", total["memory_mib"] <= MEMORY_GOAL_MIB)
        starts = await asyncio.to_thread(measure.run_starts, self.place)
        step.figures = {"pods": found, "ours": total, "run_start_s": starts}
        step.observed = (
            f"{total['pods']:.0f} pods: {total['cpu']:.2f} CPU, {total['memory_mib']:.0f} MiB; "
            f"{len(starts)} runs had their container after at most {max(starts, default=0):.0f} s"
        )
        self.figures |= {"idle": total, "pods": found, "run_start_s": starts}

    def _remove(self) -> None:
        deploy.call(
            "kubectl",
            "--context",
            self.place.context,
            "delete",
            "namespace",
            self.place.namespace,
            "--ignore-not-found",
        )

    def close(self) -> None:
        """End the connection; remove the namespace."""
        record = self.home.record()
        if record is not None:
            end(record.supervisor, record.supervisor_started)
        if not self.given.keep:
            self._remove()

    def leave_evidence(self, folder: Path) -> None:
        """Logs of each container, manifests and events, for whoever looks why it failed."""
        folder.mkdir(parents=True, exist_ok=True)
        base = ["kubectl", "--context", self.place.context, "--namespace", self.place.namespace]
        for name, command in {
            "objects.yaml": ["get", "all,configmaps,networkpolicies,pvc", "--output", "yaml"],
            "events.txt": ["get", "events", "--sort-by", ".lastTimestamp"],
            "pods.txt": ["describe", "pods"],
        }.items():
            (folder / name).write_text(_output([*base, *command]))
        try:
            pods = json.loads(deploy.kubectl(self.place, "get", "pods", "--output", "json"))["items"]
        except deploy.DeployError:
            return
        for pod in pods:
            for container in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]):
                name = f"{pod['metadata']['name']}.{container['name']}"
                logs = [*base, "logs", pod["metadata"]["name"], "--container", container["name"]]
                (folder / f"{name}.log").write_text(_output(logs))
                before = _output([*logs, "--previous"])
                if "previous terminated container" not in before:
                    (folder / f"{name}.previous.log").write_text(before)


def _output(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout


def main() -> int:
    """Run it; the exit status."""
    given, began = arguments(), time.monotonic()
    out: Path = given.out.absolute()
    with Terminal() as screen:
        try:
            run = Run(given, screen)
            deploy.consent(run.place, yes=bool(given.context) or "CI" in os.environ)
        except deploy.DeployError as error:
            screen.say(str(error))
            return 1
        screen.say(f"The loop on the cluster of context {run.place.context}, namespace {run.place.namespace}")
        try:
            asyncio.run(run.tell())
        except (StepFailed, deploy.DeployError) as failure:
            screen.say(f"FAILED: {failure}")
            screen.say(f"  {json.dumps(run.steps[-1].figures, default=str)}")
        found = report.write_json(out, run.steps, time.monotonic() - began, run.figures)
        if not found["ok"]:
            run.leave_evidence(out / "evidence")
            screen.say(f"logs and manifests: {out / 'evidence'}")
        run.close()
    screen.table(run.steps)
    screen.say(f"{found['seconds']:.0f} s in all; report: {out / 'report.json'}")
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
