"""Loops without views, entities and yes or no: a number and one of three classes go round on one machine."""

from __future__ import annotations

import io
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_client.cli.loop import hand_in
from capstan_client.platform.home import Home
from capstan_client.sdk import Capstan, CapstanProblem
from capstan_client.sdk.lineage import trace
from capstan_client.sdk.transport import poll
from capstan_contracts.rest.inference import Deployment
from capstan_contracts.rest.ingestion import BatchState
from capstan_contracts.rest.training import RunRequest
from capstan_testkit.platform import running_platform

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]

T = TypeVar("T")
Array = npt.NDArray[Any]
RECIPE = Path(__file__).parent / "recipes" / "flats"
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
LEARNED, LATER = range(60), range(60, 70)
"""Days since BEGIN; the later ones are a monitoring window of their own."""
FLATS = 40
NOISE_KWH = 2.0
ASKED = ("flat", "day", "outside", "area", "corner", "built")
GRADES_KWH = (34.0, 46.0)
"""Below the first the need for heat is low, from the second on it is high."""


#: Names that parts of the platform use themselves: pandas, DuckDB's readers, LightGBM, our tables and records.
INNER_NAMES = {
    "flat": "__index_level_0__", "day": "timestamp", "outside": "index", "area": "filename", "corner": "value",
    "built": "rowid",
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A loop of the recipe: what it predicts, what it is measured by, and how good it has to be."""

    loop: str
    label: str
    live: str
    """The metric of live quality."""
    champion: str
    """The metric of the race with the champion."""
    gates: int
    each: Callable[[Array, Array], Array]
    """The live metric of each prediction, from what was said and what was true."""
    good: Callable[[Mapping[str, float]], bool]
    """Whether the figures of a run are those of a model that has learned."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What columns of the recipe are called here."""

    def called(self, column: str) -> str:
        """The name of a column in this loop."""
        return self.names.get(column, column)

    def renamed(self, table: pa.Table) -> pa.Table:
        """A table with the names of this loop."""
        return table.rename_columns([self.called(column) for column in table.column_names])

    def recipe(self, folder: Path) -> Path:
        """The recipe with these names."""
        for file in RECIPE.iterdir():
            if file.is_file():
                text = re.sub(r'(?<=["\[{ ])\b(\w+)(?=["\],:\n])', lambda word: self.called(word[1]), file.read_text())
                (folder / file.name).write_text(text)
        return folder / f"{self.loop}.yaml"


TASKS = (
    Task(
        "heating", "kwh", live="mae", champion="mae", gates=3, each=lambda said, truth: np.abs(said - truth),
        good=lambda figures: NOISE_KWH / 2 < figures["mae"] < figures["rmse"] < 2.5 * NOISE_KWH,
    ),
    Task(
        "rating", "grade", names=INNER_NAMES, live="accuracy", champion="logloss", gates=4,
        each=lambda said, truth: said == truth,
        good=lambda figures: 0.75 < figures["macro_f1"] <= 1 and 0 < figures["logloss"] < 0.6 < figures["accuracy"],
    ),
)  # fmt: skip


def table_of(days: range, label: str) -> pa.Table:
    """What each flat needs on each day, or its grade: linear in cold and area, more for old houses and at a corner."""
    random = np.random.default_rng(days.start)
    rows = len(days) * FLATS
    flat = np.tile(np.arange(FLATS), len(days))
    outside, area, old = random.normal(5, 6, rows), random.uniform(30, 120, rows), random.random(rows) < 0.4
    corner = random.random(rows) < 0.3
    kwh = 0.9 * (22 - outside) + 0.3 * area + 8 * old + 5 * corner + random.normal(0, NOISE_KWH, rows)
    moments = [BEGIN + timedelta(days=day, minutes=one) for day in days for one in range(FLATS)]
    return pa.table({
        "flat": flat, "day": pa.array(moments, pa.timestamp("us", "UTC")), "outside": outside, "area": area,
        "corner": pa.array(corner, mask=np.arange(rows) % 100 == 99),
        "built": np.where(old, "old", "new"), label: kwh if label == "kwh" else np.digitize(kwh, GRADES_KWH),
    })  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with running_platform(tmp_path / "home") as home:
        yield home


async def until(look: Callable[[], Awaitable[T]], done: Callable[[T], bool]) -> T:
    return await poll(look, done, timeout_s=90, every_s=0.2)


async def commit(capstan: Capstan, table: pa.Table, partition: str) -> None:
    content = io.BytesIO()
    pq.write_table(table, content)
    batch = await capstan.ingestion.upload(
        "flats", content.getvalue(), partition=partition, filename=f"{partition}.parquet"
    )
    batch = await capstan.ingestion.wait_for_batch(batch.id)
    assert batch.state is BatchState.COMMITTED, batch


async def first_champion(capstan: Capstan, task: Task) -> Deployment:
    """The version that serves, once it has passed its gates."""
    [run] = await until(capstan.training.runs, bool)
    run = await capstan.training.wait_for_run(run.id)
    assert run.state.value == "succeeded", run.problem
    [entry] = await until(lambda: capstan.registry.ledger(task.loop), bool)
    assert entry.decision == "approved", [gate["sentence"] for gate in entry.gates]
    assert task.good(run.metrics), run.metrics

    async def look() -> Deployment | None:
        try:
            return await capstan.inference.deployment(task.loop)
        except CapstanProblem:
            return None

    found = await until(look, lambda found: found is not None and found.state == "serving")
    assert found is not None
    return found


def questions(table: pa.Table, task: Task) -> list[dict[str, Any]]:
    """Rows as a caller sends them: all that is declared, and not the label."""
    rows: list[dict[str, Any]] = table.select([task.called(column) for column in ASKED]).to_pylist()
    day = task.called("day")
    return [row | {day: row[day].isoformat().replace("+00:00", "Z")} for row in rows]


async def ask_v2(capstan: Capstan, task: Task, rows: list[dict[str, Any]]) -> list[float]:
    """The same rows as columns of the Open Inference Protocol."""
    datatypes = {"flat": "INT64", "day": "BYTES", "outside": "FP64", "area": "FP64", "corner": "BOOL", "built": "BYTES"}
    columns = {task.called(name): datatype for name, datatype in datatypes.items()}
    body = {
        "inputs": [
            {"name": name, "shape": [len(rows)], "datatype": datatype, "data": [row[name] for row in rows]}
            for name, datatype in columns.items()
        ]
    }
    loop = task.loop
    url = f"{capstan.model_server.url(loop)}/v2/models/{loop}/infer"
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(url, json=body, headers={"authorization": f"Bearer {capstan.token}"})
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    found: list[float] = outputs["prediction"]
    return found


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.loop)
async def test_a_loop_without_features_goes_round(task: Task, home: Home, tmp_path: Path) -> None:
    learned, later = (task.renamed(table_of(days, task.label)) for days in (LEARNED, LATER))
    loop, recipe = task.loop, tmp_path / "recipe"
    recipe.mkdir()
    truth = later[task.label].to_numpy()
    async with Capstan.connect(home.folder) as capstan:
        assert (await hand_in(capstan, task.recipe(recipe))).applied
        await commit(capstan, learned, "first")
        deployment = await first_champion(capstan, task)

        rows = questions(later, task)
        answer = await capstan.model_server.predict(loop, rows)
        several = isinstance(answer["predictions"][0], dict)  # V1 keeps its scalar where there is one output
        said = np.array([one["prediction"] if several else one for one in answer["predictions"]])
        assert several == (task.label == "grade")
        assert answer["model_version"] == deployment.model_version == 1
        each = task.each(said, truth)
        assert await ask_v2(capstan, task, rows[:5]) == said[:5].tolist()

        await capstan.inference.flush(loop)
        await until(lambda: capstan.monitoring.monitor(loop), lambda found: found.predictions == len(rows) + 5)
        await commit(capstan, later, "later")
        await until(lambda: capstan.monitoring.monitor(loop), lambda found: found.labelled == len(rows) + 5)
        [quality] = await until(
            lambda: capstan.monitoring.quality(loop),
            lambda found: len(found) == 1 and found[0].labelled == len(rows) + 5,
        )
        weights = np.where(np.arange(len(rows)) < 5, 2, 1)
        assert (quality.metric, quality.coverage) == (task.live, 1.0)
        assert quality.value == pytest.approx(np.average(each, weights=weights))
        assert quality.low is not None and quality.value is not None and quality.high is not None
        assert quality.low < quality.value < quality.high

        await capstan.monitoring.advance(loop, BEGIN + timedelta(days=LATER.stop))
        [window] = await until(
            lambda: capstan.monitoring.windows(loop),
            lambda found: len(found) == 1 and found[0].state not in ("open", "evaluating"),
        )
        assert (window.state, window.rows) == ("quiet", len(rows) + 5), window
        assert {figure.column for figure in window.columns} == {
            *map(task.called, ("outside", "area", "corner", "built")), "prediction",
        }  # fmt: skip

        found = await trace(capstan, answer["prediction_ids"][7])
        assert found.run.id == found.version.run and found.features == []
        assert [(file.partition, file.rows) for file in found.dataset.files] == [("first", len(LEARNED) * FLATS)]
        assert found.prediction.inputs == rows[7] and found.prediction.features == {}
        assert found.decision is not None and len(found.decision.gates) == task.gates

        run = await capstan.training.wait_for_run((await capstan.training.start(RunRequest(loop=loop))).id)
        assert run.state.value == "succeeded", run.problem
        decided = await until(lambda: capstan.registry.ledger(loop), lambda found: len(found) == 2)
        [versus] = [gate for gate in decided[0].gates if gate["kind"] == "champion"]
        assert decided[0].decision == "approved" and versus["passed"], decided[0].gates
        assert task.champion in versus["gate"]
        assert sum([len(await capstan.service(name).dead_letters()) for name in capstan.urls]) == 0
