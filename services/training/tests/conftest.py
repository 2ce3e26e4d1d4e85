"""A tiny recipe as an archive, a loop that uses it, and hand-written neighbours."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.loop import LoopPart
from capstan_servicekit.objects.folder import FolderObjectStore
from capstan_testkit.mlflow_rest import FakeMlflow

RECIPE = Path(__file__).parent / "integration" / "recipe"
V1, V2, WEATHER = "1" * 64, "2" * 64, "3" * 64
VIEW = "4" * 64

Tar = Callable[[dict[str, bytes | tarfile.TarInfo]], bytes]


def pack(entries: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    """A tar.gz of files, and of entries made by hand."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in entries.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def tar() -> Tar:
    return pack


@dataclass(frozen=True)
class Recipe:
    """An archive and its digest."""

    content: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(pack({"./pipeline.py": (RECIPE / "pipeline.py").read_bytes(), "README": b"tiny"}))


@pytest.fixture
def make_recipe() -> Callable[[dict[str, bytes]], Recipe]:
    return lambda files: Recipe(pack(dict(files)))


PartMaker = Callable[..., LoopPart]


@pytest.fixture
def make_part() -> PartMaker:
    def make(
        code: str, *, generation: int = 1, name: str = "tiny", project: str = "default", **training: Any
    ) -> LoopPart:
        spec = {
            "dataset": {"name": "flights", "contract": {}, "keys": ["id"], "eventTime": "sched"},
            "sources": [
                {"name": name, "contract": {}, "keys": ["id"], "eventTime": "at"} for name in ("planes", "weather")
            ],
            "features": {"service": "tiny_v1"},
            "training": {"pipeline": "pipeline.py:train", "label": "late", "holdout": {"days": 4}, **training},
            "gates": [{"metric": "auc", "min": 0.6}],
        }
        definitions = {
            "service": {
                "name": "tiny_v1",
                "labelTime": "sched",
                "request": [{"name": "sched", "dtype": "timestamp"}, {"name": "origin", "dtype": "string"}],
                "lookups": [{"view": "weather", "keys": {"origin": "origin"}}],
            },
            "views": [
                {
                    "name": "weather",
                    "dataset": "weather",
                    "keys": [{"name": "origin", "dtype": "string"}],
                    "eventTime": "at",
                    "ttl": "3h",
                    "columns": [{"name": "distance", "dtype": "float64"}],
                    "sql": "SELECT * FROM weather",
                }
            ],
        }
        loop = {
            "apiVersion": "capstan.dev/v1alpha1",
            "kind": "Loop",
            "metadata": {"name": name, "project": "default"},
            "spec": spec,
        }
        return LoopPart.model_validate(
            {"generation": generation, "resolved": {"loop": loop, "definitions": definitions, "code": code}}
        )

    return make


def manifest(dataset: str, version: str, partitions: int) -> dict[str, Any]:
    at = datetime(2013, 1, 1, tzinfo=UTC).isoformat()
    files = [
        {
            "partition": f"2013-{index + 1:02}",
            "batch": "b" * 64,
            "path": f"{index}.parquet",
            "md5": "0" * 32,
            "sha256": "c" * 64,
            "bytes": 1,
            "rows": 1,
            "source": "x.parquet",
        }
        for index in range(partitions)
    ]
    return {
        "dataset": dataset,
        "version": version,
        "sequence": partitions,
        "keys": ["id"],
        "event_time": "sched",
        "columns": {},
        "files": files,
        "rows": partitions,
        "dvc_md5": "0.dir",
        "created_at": at,
    }


def problem(status: int, code: str, detail: str) -> httpx.Response:
    return httpx.Response(status, json={"title": "no", "status": status, "code": code, "detail": detail})


@dataclass
class Neighbours:
    """Ingestion, feature store and MLflow behind the registry, as far as training asks them.

    They keep requests and idempotency keys. They do not simulate slowness, authentication or restarts.
    """

    newest: dict[str, str | None] = field(default_factory=lambda: {"flights": V1, "weather": WEATHER})
    partitions: dict[str, int] = field(default_factory=lambda: {V1: 1, V2: 3})
    training_set: str = "0" * 64
    polls: int = 1
    features_problem: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    mlflow: FakeMlflow = field(default_factory=FakeMlflow)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.startswith("/mlflow/"):
            return self.mlflow(request)
        if match := re.fullmatch(r"/v1/projects/default/datasets/([^/]+)(?:/versions/([^/]+))?", path):
            return self._dataset(match[1], match[2])
        if path == "/v1/projects/default/training-sets":
            return self._ask(json.loads(request.content), request.headers["idempotency-key"])
        if match := re.fullmatch(r"/v1/projects/default/training-sets/([^/]+)", path):
            return httpx.Response(200, json=self._set(match[1]))
        return problem(404, "route-not-found", path)

    def _dataset(self, name: str, version: str | None) -> httpx.Response:
        if name not in self.newest:
            return problem(404, "not-found", f"no dataset {name}")
        if version is not None:
            full = next((known for known in self.partitions if known.startswith(version)), None)
            if full is None:
                return problem(404, "not-found", f"no version {version}")
            return httpx.Response(200, json=manifest(name, full, self.partitions[full]))
        spec = {"name": name, "contract": {}, "keys": ["id"], "eventTime": "at"}
        return httpx.Response(200, json={"name": name, "spec": spec, "latest": self.newest[name]})

    def _ask(self, body: dict[str, Any], key: str) -> httpx.Response:
        self.asked.append(body)
        id_ = self.keys.setdefault(key, str(len(self.keys)))
        return httpx.Response(202, json=self._set(id_))

    def _set(self, id_: str) -> dict[str, Any]:
        self.looks[id_] = self.looks.get(id_, -1) + 1
        body = next(asked for asked in reversed(self.asked))
        answer: dict[str, Any] = {"id": id_, "request": body, "state": "running"}
        if self.looks[id_] < self.polls:
            return answer
        if self.features_problem:
            told = {"title": "no", "status": 400, "code": "invalid-data", "detail": self.features_problem}
            return {**answer, "state": "failed", "problem": told}
        versions = {"flights": body["dataset_version"], **body["sources"]}
        done = {"digest": self.training_set, "rows": 40, "view_versions": {"weather": VIEW}}
        return {**answer, "state": "succeeded", **done, "dataset_versions": versions}


@pytest.fixture
def neighbours() -> Neighbours:
    return Neighbours()


@pytest.fixture
async def with_training_set(neighbours: Neighbours, tmp_path: Path) -> Neighbours:
    """Neighbours whose training set lies in the object store."""
    rows = 40
    table = pa.table({"distance": [100.0 + 7 * i for i in range(rows)], "late": [int(i % 3 == 0) for i in range(rows)]})
    pq.write_table(table, tmp_path / "set.parquet")
    store = FolderObjectStore(tmp_path / "objects")
    neighbours.training_set = await store.put_file("default", tmp_path / "set.parquet")
    return neighbours
