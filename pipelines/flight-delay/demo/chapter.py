"""What every chapter of the story has: the platform's clients, what is played, and what was seen so far."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from capstan_client.sdk import Capstan, CapstanProblem
from capstan_client.sdk.recipe import resolve
from capstan_client.sdk.transport import poll
from capstan_contracts.loop import ResolvedLoop
from capstan_contracts.rest.inference import Deployment
from capstan_contracts.rest.ingestion import Batch, BatchState
from capstan_contracts.rest.monitoring import QualityWindow, Window
from demo.steps import Screen
from demo.traffic import questions

T = TypeVar("T")
LOOP = "flight-delay"
TRAIN = ("2013-01", "2013-02", "2013-03")


@dataclass
class Plan:
    """What of the year is played."""

    recipe: Path
    data: Path
    broken: Path
    months: tuple[str, ...] = tuple(f"2013-{month:02d}" for month in range(4, 13))
    rows_per_month: int = 4000
    quiet_until: str = "2013-06"
    patience_s: float = 240
    #: From the command to the first answer of the former champion: under a second, but not on a busy machine.
    rollback_goal_s: float = 3


@dataclass
class Seen:
    """What later steps and the report need of earlier ones."""

    timeline: list[tuple[float, str]] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    quality: list[QualityWindow] = field(default_factory=list)
    sample_prediction: str = ""
    champion: int = 0
    links: dict[str, str] = field(default_factory=dict)
    months_played: list[str] = field(default_factory=list)
    predictions: int = 0


class Chapter:
    """Shared ways of sending, waiting and looking."""

    def __init__(self, capstan: Capstan, plan: Plan, screen: Screen, seen: Seen) -> None:
        self.capstan, self.plan, self.screen, self.seen = capstan, plan, screen, seen
        self.resolved: ResolvedLoop = resolve(plan.recipe / "loop.yaml")[0]
        self._begun = asyncio.get_running_loop().time()

    def mark(self, what: str) -> None:
        """Remember when something happened, in seconds since the story began."""
        self.seen.timeline.append((round(asyncio.get_running_loop().time() - self._begun, 1), what))

    async def send(self, dataset: str, file: Path, partition: str, replaces: str | None = None) -> Batch:
        self.screen.busy(f"{dataset} {partition}")
        content = await asyncio.to_thread(file.read_bytes)
        batch = await self.capstan.ingestion.upload(
            dataset, content, partition=partition, filename=file.name, replaces=replaces
        )
        return await self.capstan.ingestion.wait_for_batch(batch.id, timeout_s=self.plan.patience_s)

    async def commit(self, dataset: str, file: Path, partition: str) -> Batch:
        batch = await self.send(dataset, file, partition)
        if batch.state is not BatchState.COMMITTED:
            rules = [check.sentence for check in (batch.verdict.checks if batch.verdict else []) if check.sentence]
            raise AssertionError(f"{dataset} {partition} is {batch.state.value}: {rules or batch.problem}")
        return batch

    def file(self, dataset: str, month: str) -> Path:
        return self.plan.data / dataset / f"{month}.parquet"

    async def serving(self, at_least: int) -> Deployment:
        async def look() -> Deployment | None:
            try:
                return await self.capstan.inference.deployment(LOOP)
            except CapstanProblem:
                return None

        def serves(deployment: Deployment | None) -> bool:
            return (
                deployment is not None and deployment.state == "serving" and (deployment.model_version or 0) >= at_least
            )

        deployment = await self.until(look, serves)
        assert deployment is not None
        return deployment

    async def one_prediction(self) -> dict[str, Any]:
        """Ask for the first flight that is there to be asked for."""
        columns = [column.name for column in self.resolved.definitions.service.request]
        rows = await asyncio.to_thread(questions, self.file("flights", self.plan.months[0]), columns, 1)
        return await self.capstan.model_server.predict(LOOP, rows[:1])

    async def until(self, look: Callable[[], Awaitable[T]], done: Callable[[T], bool]) -> T:
        """Look until it is done, as long as the plan has patience."""
        return await poll(look, done, timeout_s=self.plan.patience_s, every_s=0.3)


def window_figures(window: Window) -> dict[str, Any]:
    """A window as the report keeps it."""
    return {
        "start": window.start.isoformat(), "end": window.end.isoformat(), "rows": window.rows, "state": window.state,
        "version": window.model_version,
        "columns": {
            figure.column: {
                "statistic": figure.statistic, "effect": round(figure.effect, 4), "p": figure.adjusted_p,
                "seasonal": figure.seasonal,
            }
            for figure in window.columns
        },
    }  # fmt: skip
