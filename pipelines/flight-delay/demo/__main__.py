"""`python -m demo [--stop]` in the recipe's folder: start clean, tell the story, leave a report.

The platform is left running unless `--stop` is given. Exit status 1 when a step does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from capstan_client.cli.platform import memory, start_in_background
from capstan_client.platform.home import Home, Record
from capstan_client.platform.processes import end, same_process
from capstan_client.sdk import Capstan
from capstan_client.settings import FOLDER
from demo import report, year
from demo.chapter import LOOP, Chapter, Plan, Seen
from demo.screen import Terminal
from demo.steps import Step, StepFailed, play
from demo.story import Story
from demo.year import ROOT

MARK = "made-by-the-demo"
READY_GOAL_S, MEMORY_GOAL_MB = 5.0, 450.0


def main() -> int:
    """Play the story; the exit status."""
    arguments = _arguments()
    home = Home((arguments.home or ROOT / FOLDER).absolute())
    begun = time.monotonic()
    with Terminal() as screen:
        screen.say(f"Capstan: the loop goes round once on the flights of 2013. State in {home.folder}")
        _start_clean(home)
        plan = year.make(arguments.rows, screen)
        telling = Telling(home, plan, screen)
        try:
            asyncio.run(telling.tell())
        except StepFailed as failure:
            screen.say(f"FAILED: {failure}")
        finally:
            contents = telling.write(arguments.out.absolute(), time.monotonic() - begun)
    screen.table(telling.steps)
    _close(arguments, home, contents, screen)
    return 0 if contents["ok"] else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo DEMO_ARGS=...", description=__doc__)
    parser.add_argument("--stop", action="store_true", help="stop the platform at the end")
    parser.add_argument("--home", type=Path, help="folder for the platform's state (made new)")
    parser.add_argument("--out", type=Path, default=ROOT / "demo-report", help="folder for the report")
    parser.add_argument("--rows", type=int, default=4000, help="predictions per month")
    return parser.parse_args()


def _start_clean(home: Home) -> None:
    """Stop what an earlier demo left running and remove its state; never touch what somebody else made."""
    if not home.folder.exists():
        return
    if not (home.folder / MARK).exists():
        raise SystemExit(
            f"{home.folder} was not made by the demo and is left alone. Give another folder: --home FOLDER"
        )
    record = home.record()
    if record is not None:
        end(record.supervisor, record.supervisor_started, grace_s=25)
        for pid, started in record.processes.values():
            end(pid, started)
    shutil.rmtree(home.folder)


class Telling:
    """One telling: the platform's own steps around the story."""

    def __init__(self, home: Home, plan: Plan, screen: Terminal) -> None:
        self._home, self._plan, self._screen = home, plan, screen
        self.steps: list[Step] = []
        self._seen = Seen()
        self._platform: dict[str, Any] = {}

    async def tell(self) -> None:
        """Platform up, the story, a second start."""
        await self._step("platform up", "broker and six services ready", self._up)
        async with Capstan.connect(self._home.folder) as capstan:
            story = Story(capstan, self._plan, self._screen)
            self._seen = story.seen
            try:
                await story.tell()
            finally:
                self.steps += story.steps
        await self._step(
            "second start",
            f"all state is there again; ready <= {READY_GOAL_S:g} s, idle <= {MEMORY_GOAL_MB:g} MB",
            self._again,
        )

    async def _step(self, name: str, expected: str, body: Any) -> None:
        step = Step(name, expected)
        self.steps.append(step)
        await play(step, body, self._screen)

    async def _up(self, step: Step) -> None:
        record = await self._start()
        (self._home.folder / MARK).touch()
        step.check("broker and six services are ready", record.state == "ready" and len(record.services) == 6)
        step.figures = {"ready_s": record.ready_s, "first_start": True}
        step.observed = f"ready in {record.ready_s} s (first start, with six databases to make)"
        self._platform["services"] = record.services

    async def _again(self, step: Step) -> None:
        async with Capstan.connect(self._home.folder) as capstan:
            before = await capstan.registry.champion(LOOP)
            self._seen.quality = await capstan.monitoring.quality(LOOP)
        record = self._home.record()
        assert record is not None
        await asyncio.to_thread(end, record.supervisor, record.supervisor_started, grace_s=25)
        step.check("it stopped", not same_process(record.supervisor, record.supervisor_started))
        record = await self._start()
        async with Capstan.connect(self._home.folder) as capstan:
            again = Chapter(capstan, self._plan, self._screen, self._seen)
            served = await again.serving(before.version)
            answer = await again.one_prediction()
        await asyncio.sleep(2)
        held = memory(record)
        ready = record.ready_s or float("inf")
        step.check("the same champion serves", served.model_version == before.version == answer["model_version"])
        step.check(f"ready within {READY_GOAL_S:g} s", ready <= READY_GOAL_S)
        step.check(f"at most {MEMORY_GOAL_MB:g} MB when idle", held <= MEMORY_GOAL_MB)
        step.figures = {"ready_s": ready, "idle_pss_mb": held}
        step.observed = f"ready in {ready} s, {held:.0f} MB (PSS) with broker and champion, champion answers"
        self._platform |= {"ready_s": ready, "idle_pss_mb": held, "services": record.services}
        self._platform["model_server"] = record.model_server

    async def _start(self) -> Record:
        command = [sys.executable, "-m", "capstan_client.platform", str(self._home.folder)]
        await asyncio.to_thread(start_in_background, self._home, command, quiet=True)
        record = self._home.record()
        assert record is not None
        return record

    def write(self, folder: Path, seconds: float) -> dict[str, Any]:
        """Write both reports."""
        contents = report.write_json(folder, self.steps, seconds, self._platform)
        services: dict[str, str] = self._platform.get("services", {})
        links = {}
        if services:
            links = {"MLflow": f"{services['registry']}/mlflow/"}
            if self._seen.links.get("report"):
                links["Evidently report of the drifted window"] = services["monitoring"] + self._seen.links["report"]
            links |= {f"API of {name}": f"{url}/docs" for name, url in services.items()}
        report.write_html(folder, contents, self._seen, links)
        return contents


def _close(arguments: argparse.Namespace, home: Home, contents: dict[str, Any], screen: Terminal) -> None:
    platform = contents["platform"]
    screen.say(
        f"{contents['seconds']:.0f} s in all; ready in {platform.get('ready_s')} s; "
        f"idle {platform.get('idle_pss_mb')} MB"
    )
    screen.say(f"report: {arguments.out.absolute() / 'index.html'}")
    record = home.record()
    if arguments.stop:
        if record is not None:
            end(record.supervisor, record.supervisor_started, grace_s=25)
        screen.say("the platform is stopped")
        return
    for name, url in platform.get("services", {}).items():
        screen.say(f"{name:<14} {url}")
    screen.say(f"{'predictions':<14} {platform.get('model_server', '-')}")
    screen.say(
        "next: .venv/bin/capstan status | open mlflow | open report | trace <prediction id>; stop with `make down`"
    )


if __name__ == "__main__":
    sys.exit(main())
