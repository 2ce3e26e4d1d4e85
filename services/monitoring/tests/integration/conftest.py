"""Drives a monitor by events, as the other services would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.events import DatasetCommitted, Envelope, Event, PredictionsLogged, RunFinished, VersionPromoted
from capstan_contracts.ids import Urn, uuid7
from capstan_contracts.loop import LoopPart
from capstan_contracts.work import State
from capstan_monitoring.app import build
from capstan_monitoring.settings import Settings
from capstan_testkit.harness import Harness, running

SUBJECT = Urn("default", "loop", "delay")
BASE = "/v1/projects/default"


@dataclass
class Driver:
    """The world around one monitor."""

    h: Harness
    ingestion: Any
    folder: Path
    package: str = ""
    training_set: str = ""
    batches: int = 0

    async def tell(self, event: Event) -> Envelope:
        return await self.h.publish(event, subject=SUBJECT)

    async def apply(self, part: LoopPart) -> None:
        body = part.model_dump(mode="json", by_alias=True)
        response = await self.h.service.put(f"{BASE}/loops/delay", json=body)
        assert response.status_code == 200, response.text

    async def promote(self, made: Any, version: int = 1, ledger: int = 1) -> None:
        self.package = await self.h.kit.objects.put_file("default", made.package)
        self.training_set = await self.h.kit.objects.put_file("default", made.training_set)
        await self.tell(
            RunFinished(
                run=uuid7(), loop="delay", state=State.SUCCEEDED, reason="first", dataset="flights",
                dataset_version="0" * 64, training_set=self.training_set, code="2" * 64, package=self.package,
            )
        )  # fmt: skip
        await self.champion(version, ledger)

    async def champion(self, version: int, ledger: int) -> None:
        await self.tell(
            VersionPromoted(model="delay", to_version=version, package=self.package, by="gates", ledger_sequence=ledger)
        )

        async def known() -> bool:
            return bool((await self.monitor())["model_version"] == version)

        await self.h.until(known)

    async def log(self, day: Any, *, name: str = "", **how: Any) -> PredictionsLogged:
        path = day.segment(self.folder / f"{name or day.start.date()}.seg", **how)
        return await self.log_file(path)

    async def log_file(self, path: Path) -> PredictionsLogged:
        digest = await self.h.kit.objects.put_file("default", path)
        event = PredictionsLogged(deployment="delay", segment=digest, records=1, rows=1, closed_at=datetime.now(UTC))
        await self.tell(event)
        return event

    async def commit(
        self, day: Any, reach: datetime | None = None, parent: str | None = None, **how: Any
    ) -> DatasetCommitted:
        """A new version of the label dataset with the day's outcomes."""
        self.batches += 1
        path = day.labels(self.folder / f"labels-{self.batches}.parquet", **how)
        version, batch = f"{self.batches:064x}", f"{self.batches + 1000:064x}"
        self.ingestion.add(version, batch, await self.h.kit.objects.put_file("default", path), self.batches)
        event = DatasetCommitted(
            dataset="flights", version=version, parent=parent, batch=batch, partition="p", rows=len(day.rows),
            total_rows=len(day.rows), event_time_max=reach or day.start + timedelta(hours=23),
        )  # fmt: skip
        await self.tell(event)
        return event

    async def monitor(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.get("")
        return found

    async def get(self, path: str) -> Any:
        response = await self.h.viewer.get(f"{BASE}/monitors/delay{path}")
        assert response.status_code == 200, response.text
        return response.json()

    async def windows(self) -> list[dict[str, Any]]:
        return list((await self.get("/windows"))["items"])

    async def seen(self, predictions: int) -> None:
        async def all_there() -> bool:
            return bool((await self.monitor())["predictions"] == predictions)

        await self.h.until(all_there)

    async def advance(self, until: datetime) -> None:
        body = {"event_time": until.isoformat()}
        response = await self.h.operator.post(f"{BASE}/monitors/delay/watermark", json=body)
        assert response.status_code == 200, response.text

    async def judged(self, count: int) -> list[dict[str, Any]]:
        """The windows, once `count` of them have a verdict."""

        async def enough() -> bool:
            return sum(one["state"] not in ("open", "evaluating") for one in await self.windows()) == count

        await self.h.until(enough)
        return await self.windows()


@pytest.fixture
async def driver(tmp_path: Path, ingestion: Any, make_part: Callable[..., LoopPart]) -> AsyncIterator[Driver]:
    """A running service without a monitor; reports are made only where a test asks for the environment."""
    async with running(Settings, build, tmp_path / "home", peers=ingestion) as h:
        folder = tmp_path / "files"
        folder.mkdir()
        yield Driver(h, ingestion, folder)
