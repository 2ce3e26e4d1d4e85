"""The service with a checker and a store that are quick, and the dataset `trips` in it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.events import DatasetCommitted
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import CheckResult, ManifestFile, Verdict
from capstan_ingestion.actions.ports import Checked, LeftRows, Progress, RepeatedKeys
from capstan_ingestion.app import compose
from capstan_ingestion.domain.files import Form
from capstan_ingestion.domain.jobs import PlacedFiles
from capstan_ingestion.settings import Settings
from capstan_servicekit.errors import InvalidData, Upstream
from capstan_servicekit.objects.port import Condition
from capstan_servicekit.runtime import Kit, Service
from capstan_testkit.harness import Harness, running

Make = Callable[..., Any]
BASE = "/v1/projects/default"
CSV = {"content-type": "text/csv"}


def _text(path: Path) -> str:
    return path.read_text()


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass
class LineChecker:
    """Every line is a row; a line `bad` breaks the contract; the file is its own canonical form."""

    hidden_faults: int = 0
    columns: dict[str, str] = field(default_factory=lambda: {"id": "int64"})
    refuse: bool = False
    at: datetime = datetime(2013, 1, 1, tzinfo=UTC)
    compared: list[str] = field(default_factory=list)

    async def check(
        self,
        project: str,
        path: Path,
        form: Form,
        dataset: DatasetSpec,
        *,
        earlier: Mapping[str, str],
        needed: Sequence[str],
        folder: Path,
        progress: Progress,
    ) -> Checked:
        if self.refuse:
            raise InvalidData("too much memory")
        if self.hidden_faults:
            self.hidden_faults -= 1
            raise OSError("the worker died")
        text = _text(path)
        lines = text.splitlines()
        bad = lines.count("bad")
        result = CheckResult(
            key="rows", expectation="x", severity="critical", outcome="failed" if bad else "passed", failing_rows=bad
        )
        failing = folder / "failing.json"
        failing.write_text('[{"_row": 0, "_checks": ["rows"]}]')
        canonical = folder / "canonical"
        canonical.write_text(text.rstrip())
        verdict = Verdict(passed=not bad, rows=len(lines), engine="lines", checks=[result])
        return Checked(
            verdict, dict(self.columns), self.at, self.at, None if bad else canonical, failing if bad else None, bad
        )

    async def widen(
        self, project: str, files: Mapping[str, Path], columns: Mapping[str, str], *, folder: Path
    ) -> Mapping[str, Path]:
        """A line says its type."""
        made = {name: folder / f"widened-{name}" for name in files}
        for name, file in files.items():
            made[name].write_text("\n".join(f"{line} {columns['id']}" for line in _text(file).splitlines()))
        return made

    async def compare_keys(
        self, project: str, path: Path, dataset: DatasetSpec, others: Mapping[str, Path], *, folder: Path
    ) -> RepeatedKeys:
        """A line is its own key, but for `-`, which has none."""
        self.compared += others
        own = set(_text(path).splitlines()) - {"-"}
        by_partition = {name: len(own & set(_text(file).splitlines())) for name, file in others.items()}
        by_partition = {name: count for name, count in by_partition.items() if count}
        left: dict[str, LeftRows] = {}
        for name in by_partition if dataset.on_repeated_keys == "replace" else ():
            rows = [line for line in _text(others[name]).splitlines() if line not in own]
            file = folder / f"left-{name}"
            file.write_text("\n".join(rows))
            left[name] = LeftRows(file if rows else None, len(rows), None, None)
        failing = folder / "repeated.json"
        failing.write_text('[{"_row": 0, "_checks": ["keys:unique-in-version"]}]')
        repeated = len([line for line in own if any(line in _text(file).splitlines() for file in others.values())])
        return RepeatedKeys(repeated, by_partition, failing if repeated else None, left)


@dataclass
class NamedStore:
    """A store that keeps no content and names everything; `meanwhile` runs once while files are placed."""

    meanwhile: Callable[[], Awaitable[None]] | None = None
    calls: int = 0
    named: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    holders: set[str] = field(default_factory=set)

    async def place(
        self, project: str, *, new: Mapping[str, Path], kept: Sequence[ManifestFile], folder: Path
    ) -> PlacedFiles:
        self.calls += 1
        if self.meanwhile is not None:
            action, self.meanwhile = self.meanwhile, None
            await action()
        if lost := next((one for one in kept if one.md5 not in self.named), None):
            raise Upstream(f"the store has lost {lost.path} ({lost.md5})")
        md5s = {path: _md5(_text(source)) for path, source in new.items()}
        names = sorted(path + md5 for path, md5 in ({one.path: one.md5 for one in kept} | md5s).items())
        placed = PlacedFiles(md5s, _md5("".join(names)) + ".dir")
        self.named |= {*md5s.values(), placed.dvc_md5}
        self.holders.add(project)
        return placed

    async def scrub(self, project: str, md5: str) -> Condition:
        if project not in self.holders or md5 not in self.named:
            return Condition.GONE
        return Condition.DAMAGED if md5 in self.damaged else Condition.WHOLE


@pytest.fixture
def checker() -> LineChecker:
    return LineChecker()


@pytest.fixture
def store() -> NamedStore:
    return NamedStore()


@pytest.fixture
async def h(tmp_path: Path, checker: LineChecker, store: NamedStore, make_spec: Make) -> AsyncIterator[Harness]:
    def parts(kit: Kit, settings: Settings) -> Service:
        return compose(kit, settings, checker=checker, store=store)

    async with running(Settings, lambda settings: parts(Kit.from_settings(settings), settings), tmp_path) as harness:
        answer = await harness.admin.put(f"{BASE}/datasets/trips", json=make_spec())
        assert answer.status_code == 200
        yield harness


@dataclass(frozen=True)
class Trips:
    """What a client does with the dataset `trips`."""

    h: Harness

    def at(self, other: Harness) -> Trips:
        """The same dataset in another process."""
        return Trips(other)

    async def post(self, content: str, partition: str = "a", **query: str) -> dict[str, Any]:
        params = {"partition": partition, **query}
        answer = await self.h.operator.post(
            f"{BASE}/datasets/trips/batches", params=params, content=content.encode(), headers=CSV
        )
        assert answer.status_code in (200, 202), answer.text
        body: dict[str, Any] = answer.json()
        return body | {"status": answer.status_code}

    async def send(self, content: str, partition: str = "a", **query: str) -> dict[str, Any]:
        return await self.ended((await self.post(content, partition, **query))["id"])

    async def ended(self, batch: str) -> dict[str, Any]:
        async def done() -> dict[str, Any] | None:
            found: dict[str, Any] = (await self.h.viewer.get(f"{BASE}/batches/{batch}")).json()
            return found if found["state"] in {"committed", "quarantined", "failed"} else None

        result: dict[str, Any] = await self.h.until(done)
        return result

    async def versions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.h.viewer.get(f"{BASE}/datasets/trips/versions")).json()["items"]
        return found

    async def committed(self, count: int) -> list[DatasetCommitted]:
        async def enough() -> list[DatasetCommitted]:
            events = [event for _, event in self.h.published(DatasetCommitted)]
            return events if len(events) >= count else []

        await self.h.until(enough)
        return [event for _, event in await self.h.relayed(DatasetCommitted)]


@pytest.fixture
def trips(h: Harness) -> Trips:
    return Trips(h)
