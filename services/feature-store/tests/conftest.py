"""A small world: two datasets with versions in an object store, an ingestion that knows them, and a loop."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.events import DatasetCommitted
from capstan_contracts.ids import Urn
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import Dataset, Manifest, ManifestFile
from capstan_feature_store.app import build
from capstan_feature_store.settings import Settings
from capstan_servicekit.objects.folder import FolderObjectStore
from capstan_testkit.harness import Harness, running

START = datetime(2013, 1, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", "UTC")
FLIGHTS = pa.schema(
    [
        ("carrier", pa.string()), ("flight", pa.int64()), ("tailnum", pa.string()), ("departs", INSTANT),
        ("arrives", INSTANT), ("recorded_at", INSTANT), ("delay", pa.float64()), ("late", pa.int64()),
    ]
)  # fmt: skip
PLANES = pa.schema([("tailnum", pa.string()), ("seats", pa.int64()), ("model", pa.string()), ("listed_at", INSTANT)])


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


def flight(
    number: int, at: float, delay: float | None, *, carrier: str | None = "AA", tailnum: str = "N1"
) -> dict[str, Any]:
    """A flight of two hours; it is recorded an hour after it arrived."""
    return {
        "carrier": carrier, "flight": number, "tailnum": tailnum, "departs": hour(at), "arrives": hour(at + 2),
        "recorded_at": hour(at + 3), "delay": delay, "late": None if delay is None else int(delay > 15),
    }  # fmt: skip


FIRST = [
    flight(1, 0, 5.0),
    flight(2, 1, 30.0),
    flight(3, 4, None),
    flight(4, 6, 0.0, tailnum="N2"),
    flight(5, 7, 9.0, carrier=None),
]
SECOND = [flight(6, 12, 40.0, carrier="UA", tailnum="N9"), flight(7, 13, 20.0)]
PLANE_ROWS = [
    {"tailnum": "N1", "seats": 100, "model": "A", "listed_at": hour(-5)},
    {"tailnum": "N2", "seats": None, "model": "B", "listed_at": hour(7)},
]


@dataclass
class World:
    """What ingestion would hold and answer, and the builders of this world's data."""

    FLIGHTS, PLANES = FLIGHTS, PLANES
    FIRST, SECOND, PLANE_ROWS = FIRST, SECOND, PLANE_ROWS
    flight, hour = staticmethod(flight), staticmethod(hour)

    home: Path
    manifests: dict[str, list[Manifest]] = field(default_factory=dict)
    down: bool = False

    async def commit(self, dataset: str, schema: pa.Schema, *batches: list[dict[str, Any]]) -> Manifest:
        """A new version that holds exactly these batches."""
        store, files = FolderObjectStore(self.home / "objects"), []
        for index, rows in enumerate(batches):
            path = self.home / "batch.parquet"
            pq.write_table(pa.Table.from_pylist(rows, schema), path)
            sha = await store.put_file("default", path)
            files.append(
                ManifestFile(
                    partition=f"p{index}",
                    batch=hashlib.sha256(sha.encode()).hexdigest(),
                    path=f"p{index}/data.parquet",
                    md5="0" * 32,
                    sha256=sha,
                    bytes=path.stat().st_size,
                    rows=len(rows),
                    source=f"p{index}.parquet",
                )  # fmt: skip
            )
        known = self.manifests.setdefault(dataset, [])
        version = hashlib.sha256("".join([dataset, *(file.sha256 for file in files)]).encode()).hexdigest()
        manifest = Manifest(
            dataset=dataset, version=version, parent=known[-1].version if known else None, sequence=len(known) + 1,
            keys=["flight"], event_time="departs", columns={}, files=files, rows=sum(map(len, batches)),
            dvc_md5="0" * 32, created_at=START,
        )  # fmt: skip
        known.append(manifest)
        return manifest

    def committed(self, manifest: Manifest) -> tuple[DatasetCommitted, Urn]:
        """The event of a version, and what it is about."""
        event = DatasetCommitted(
            dataset=manifest.dataset, version=manifest.version, parent=manifest.parent, batch=manifest.files[-1].batch,
            partition="p", rows=1, total_rows=manifest.rows,
        )  # fmt: skip
        return event, Urn("default", "dataset", manifest.dataset, manifest.version[:12])

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Ingestion's REST, as far as it is asked."""
        if self.down:
            raise httpx.ConnectError("down")
        parts = request.url.path.strip("/").split("/")
        known = self.manifests.get(parts[4]) if parts[:2] == ["v1", "projects"] and parts[2] == "default" else None
        if not known:
            return problem(404, f"no dataset {parts[4:5]}")
        if len(parts) == 5:
            dataset = Dataset(name=parts[4], spec=_SPEC, latest=known[-1].version)
            return httpx.Response(200, content=dataset.model_dump_json(by_alias=True))
        found = [manifest for manifest in known if manifest.version.startswith(parts[6])]
        if not found:
            return problem(404, f"no version {parts[6]}")
        return httpx.Response(200, content=found[0].model_dump_json())


_SPEC = DatasetSpec(name="any", contract={}, keys=["a"], event_time="b")


def problem(status: int, detail: str) -> httpx.Response:
    return httpx.Response(status, json={"title": detail, "status": status, "code": "not-found", "detail": detail})


CARRIER_SQL = """SELECT carrier, arrives, recorded_at, delay,
    count(*) OVER (PARTITION BY carrier ORDER BY arrives) AS flights -- so far
FROM flights WHERE delay IS NOT NULL;"""


def definitions(**views: Any) -> dict[str, Any]:
    """The features folder, resolved; keyword arguments override fields of the carrier view."""
    carrier = {
        "name": "carrier_recent", "dataset": "flights", "keys": [{"name": "carrier", "dtype": "string"}],
        "eventTime": "arrives", "createdTime": "recorded_at", "ttl": "10h", "sql": CARRIER_SQL,
        "columns": [{"name": "delay", "dtype": "float64"}, {"name": "flights", "dtype": "int64"}], **views,
    }  # fmt: skip
    planes = {
        "name": "planes", "dataset": "planes", "keys": [{"name": "tailnum", "dtype": "string"}],
        "eventTime": "listed_at", "sql": "SELECT * FROM planes",
        "columns": [
            {"name": "seats", "dtype": "int64"}, {"name": "model", "dtype": "string"},
            {"name": "listed_at", "dtype": "timestamp"},
        ],
    }  # fmt: skip
    return {
        "service": {
            "name": "flight_v1", "labelTime": "departs",
            "request": [
                {"name": "carrier", "dtype": "string"}, {"name": "tailnum", "dtype": "string"},
                {"name": "departs", "dtype": "timestamp"},
            ],
            "derived": {"departs_hour": "floor_hour(departs)"},
            "lookups": [
                {"view": "carrier_recent", "keys": {"carrier": "carrier"}},
                {"view": "planes", "keys": {"tailnum": "tailnum"}},
            ],
        },
        "views": [carrier, planes],
    }  # fmt: skip


def loop_part(generation: int = 1, made: dict[str, Any] | None = None, name: str = "flight-delay") -> dict[str, Any]:
    """What the registry sends."""
    dataset = {"name": "flights", "contract": {}, "keys": ["flight"], "eventTime": "departs"}
    spec = {
        "dataset": dataset,
        "sources": [{**dataset, "name": "planes", "keys": ["tailnum"], "eventTime": "listed_at"}],
        "features": {"service": "flight_v1"},
        "training": {"pipeline": "pipeline.py:train", "label": "late"},
        "gates": [{"metric": "auc", "min": 0.6}],
    }
    loop = {"apiVersion": "capstan.dev/v1alpha1", "kind": "Loop", "metadata": {"name": name}, "spec": spec}
    resolved = {"loop": loop, "definitions": made or definitions(), "code": "0" * 64}
    return {"generation": generation, "resolved": resolved}


World.definitions, World.loop_part = staticmethod(definitions), staticmethod(loop_part)  # type: ignore[attr-defined]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
async def h(tmp_path: Path, world: World) -> AsyncIterator[Harness]:
    """The service, running."""
    async with running(Settings, build, tmp_path, peers=world.answer) as harness:
        yield harness
