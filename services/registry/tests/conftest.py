"""A small real LightGBM package, a holdout that fits it, a loop, and a catalogue and server that only remember."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.loop import ResolvedLoop
from capstan_registry.actions.ports import Answer
from capstan_servicekit.errors import NotReady
from capstan_testkit.packages import build_package

CARRIERS = ["AA", "B6", "UA", "ZZ"]


def rows_of(seed: int, rows: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    distance, temp = random.normal(size=rows), random.normal(size=rows)
    carrier = random.choice(CARRIERS, size=rows, p=[0.4, 0.3, 0.28, 0.02])
    late = (distance + 0.5 * temp + random.normal(size=rows) > 0).astype(np.int64)
    hours = np.datetime64("2013-03-01T00:00:00", "us") + random.integers(0, 24 * 14, rows) * np.timedelta64(1, "h")
    return {
        "item_id": [f"item-{index}" for index in range(rows)],
        "distance": distance,
        "temp": temp,
        "carrier": carrier,
        "scheduled": hours,
        "arr_delayed": late,
    }


FEATURES: list[dict[str, Any]] = [
    {"op": "numeric", "column": "distance"},
    {"op": "numeric", "column": "temp"},
    {"op": "category", "column": "carrier", "vocabulary": CARRIERS},
    {"op": "hour", "column": "scheduled"},
]


@pytest.fixture(scope="session")
def make_package() -> Callable[..., Path]:
    """`make_package(folder, noise=0.0)`: the larger the noise in the training labels, the worse the model."""

    def make(folder: Path, *, noise: float = 0.0, rounds: int = 15, **changes: Any) -> Path:
        rows = rows_of(1, 2000)
        random = np.random.default_rng(2)
        label = np.where(random.random(2000) < noise, random.integers(0, 2, 2000), rows["arr_delayed"])
        codes = np.array([CARRIERS.index(word) for word in rows["carrier"]], dtype=np.float64)
        hours = (rows["scheduled"].astype("int64") // 3_600_000_000 % 24).astype(np.float64)
        matrix = np.column_stack([rows["distance"], rows["temp"], codes, hours])
        data = lightgbm.Dataset(matrix, label, categorical_feature=[2])
        settings = {"objective": "binary", "num_leaves": 7, "num_threads": 1, "verbosity": -1, "seed": 1}
        booster = lightgbm.train(settings, data, num_boost_round=rounds)
        given = {"name": "flight-delay", "label": "arr_delayed", "model": booster.model_to_string().encode()} | changes
        return build_package(folder, FEATURES, **given).path

    return make


@pytest.fixture(scope="session")
def make_holdout() -> Callable[..., Path]:
    """`make_holdout(path)`: 1,500 rows that no model has seen."""

    def make(path: Path, *, rows: int = 1500, drop: tuple[str, ...] = (), **changes: Any) -> Path:
        columns = {name: values for name, values in (rows_of(3, rows) | changes).items() if name not in drop}
        pq.write_table(pa.table(columns), path)
        return path

    return make


def loop_of(**spec: Any) -> dict[str, Any]:
    return {
        "loop": {
            "apiVersion": "capstan.dev/v1alpha1",
            "kind": "Loop",
            "metadata": {"name": "flight-delay"},
            "spec": {
                "dataset": {"name": "flights", "contract": {}, "keys": ["id"], "eventTime": "scheduled"},
                "features": {"service": "flight_delay_v1"},
                "training": {"pipeline": "pipeline.py:train", "label": "arr_delayed"},
                "gates": [
                    {"metric": "auc", "min": 0.65},
                    {"noWorseThanChampion": {"metric": "auc", "confidence": 0.95}},
                    {"slice": "carrier", "metric": "auc", "maxDrop": 0.1, "minRows": 100},
                    {"format": "native"},
                ],
            }
            | spec,
        },
        "definitions": {
            "service": {
                "name": "flight_delay_v1",
                "labelTime": "scheduled",
                "request": [{"name": "distance", "dtype": "float64"}],
                "lookups": [],
            },
            "views": [],
        },
        "code": "ab" * 32,
    }


@pytest.fixture(scope="session")
def loop_body() -> Callable[..., dict[str, Any]]:
    """The JSON body of `PUT /loops/flight-delay`; arguments replace stations of the spec."""
    ResolvedLoop.model_validate(loop_of())
    return loop_of


@dataclass
class RememberedCatalogue:
    """Gives integers per name, one per run, and remembers aliases."""

    runs: dict[tuple[str, str], int] = field(default_factory=dict)
    aliases: dict[tuple[str, str], int] = field(default_factory=dict)
    away: bool = False

    async def ensure_version(self, name: str, *, run: str, source: str, tags: Mapping[str, str]) -> int:
        self._there()
        count = sum(1 for known, _ in self.runs if known == name)
        return self.runs.setdefault((name, run), count + 1)

    async def set_alias(self, name: str, alias: str, version: int) -> None:
        self._there()
        self.aliases[name, alias] = version

    def _there(self) -> None:
        if self.away:
            raise NotReady("MLflow's server does not answer")


@dataclass
class RememberedServer:
    """Remembers what was let through, and answers `{}`. Asked whose something is, it knows `experiments` and `runs`."""

    starts: int = 0
    warmed: int = 0
    experiments: dict[str, str] = field(default_factory=lambda: {"0": "Default", "1": "flights"})
    runs: dict[str, tuple[str, dict[str, str]]] = field(default_factory=lambda: {"ab" * 16: ("0", {})})
    asked: list[str] = field(default_factory=list)
    passed: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def warm(self) -> None:
        self.warmed += 1

    @asynccontextmanager
    async def forward(
        self, method: str, path: str, *, query: str, headers: Mapping[str, str], body: Any
    ) -> AsyncIterator[Answer]:
        if not headers and (found := self._fact(path, dict(parse_qsl(query)))) is not None:
            self.asked.append(f"{path}?{query}")
            status = 200 if found else 404
            yield Answer(status, {"content-type": "application/json"}, _chunks(json.dumps(found).encode()))
            return
        sent = body if isinstance(body, bytes) else b"".join([part async for part in body]) if body else b""
        self.passed.append((method, path, query, sent))
        self.headers.append(dict(headers))
        yield Answer(200, {"content-type": "application/json"}, _chunks(b"{}"))

    def _fact(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        if path.endswith("experiments/get"):
            name = self.experiments.get(query["experiment_id"])
            return {"experiment": {"name": name}} if name else {}
        if path.endswith("runs/get"):
            experiment, tags = self.runs.get(query["run_id"], ("", {}))
            data = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
            return {"run": {"info": {"experiment_id": experiment}, "data": data}} if experiment else {}
        return None


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.fixture
def catalogue() -> RememberedCatalogue:
    return RememberedCatalogue()


@pytest.fixture
def server() -> RememberedServer:
    return RememberedServer()


@dataclass
class FakePeers:
    """Takes loop parts like a service: idempotent by generation. `refuse` and `away` name services that do not."""

    refuse: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)
    taken: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[str, bool]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        ports = {7101: "ingestion", 7102: "feature-store", 7103: "training", 7105: "inference", 7106: "monitoring"}
        service, dry_run = ports[request.url.port or 0], request.url.params.get("dry_run") == "true"
        self.calls.append((service, dry_run))
        if service in self.away:
            return _problem(502, "upstream-unavailable", "it is away")
        if service in self.refuse:
            return _problem(400, "invalid-spec", "no such view", [{"place": "views[0]", "rule": "must exist"}])
        generation = json.loads(request.content)["generation"]
        changes = [] if self.taken.get(service) == generation else [f"{service} changes"]
        if not dry_run:
            self.taken[service] = generation
        body = {
            "service": service,
            "loop": request.url.path.split("/")[-1],
            "generation": generation,
            "changes": changes,
        }
        return httpx.Response(200, json=body)


def _problem(status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> httpx.Response:
    body = {"title": "no", "status": status, "code": code, "detail": detail, "errors": errors or []}
    return httpx.Response(status, json=body)


@pytest.fixture
def peers() -> FakePeers:
    return FakePeers()


@pytest.fixture(scope="session")
def willing_peers() -> FakePeers:
    """Peers for tests that are not about them."""
    return FakePeers()
