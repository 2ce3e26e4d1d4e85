"""A loop without views, entities and yes or no: a regression on one table goes round on the platform of one machine."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
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
LOOP = "heating"
RECIPE = Path(__file__).parent / "recipes" / LOOP
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
LEARNED, LATER = range(60), range(60, 70)
"""Days since BEGIN; the later ones are a monitoring window of their own."""
FLATS = 40
NOISE_KWH = 2.0
ASKED = ("flat", "day", "outside", "area", "built")


def table_of(days: range) -> pa.Table:
    """What each flat needs on each day: linear in the cold and the area, and a constant for old houses."""
    random = np.random.default_rng(days.start)
    rows = len(days) * FLATS
    flat = np.tile(np.arange(FLATS), len(days))
    outside, area, old = random.normal(5, 6, rows), random.uniform(30, 120, rows), random.random(rows) < 0.4
    kwh = 0.9 * (22 - outside) + 0.3 * area + 8 * old + random.normal(0, NOISE_KWH, rows)
    moments = [BEGIN + timedelta(days=day, minutes=one) for day in days for one in range(FLATS)]
    return pa.table({
        "flat": flat, "day": pa.array(moments, pa.timestamp("us", "UTC")), "outside": outside, "area": area,
        "built": np.where(old, "old", "new"), "kwh": kwh,
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


async def first_champion(capstan: Capstan) -> Deployment:
    """The version that serves, once it has passed its gates."""
    [run] = await until(capstan.training.runs, bool)
    run = await capstan.training.wait_for_run(run.id)
    assert run.state.value == "succeeded", run.problem
    [entry] = await until(lambda: capstan.registry.ledger(LOOP), bool)
    assert entry.decision == "approved", [gate["sentence"] for gate in entry.gates]
    assert NOISE_KWH / 2 < run.metrics["mae"] < run.metrics["rmse"] < 2.5 * NOISE_KWH

    async def look() -> Deployment | None:
        try:
            return await capstan.inference.deployment(LOOP)
        except CapstanProblem:
            return None

    found = await until(look, lambda found: found is not None and found.state == "serving")
    assert found is not None
    return found


def questions(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as a caller sends them: all that is declared, and not the label."""
    rows: list[dict[str, Any]] = table.select(list(ASKED)).to_pylist()
    return [row | {"day": row["day"].isoformat().replace("+00:00", "Z")} for row in rows]


async def ask_v2(capstan: Capstan, rows: list[dict[str, Any]]) -> list[float]:
    """The same rows as columns of the Open Inference Protocol."""
    datatypes = {"flat": "INT64", "day": "BYTES", "outside": "FP64", "area": "FP64", "built": "BYTES"}
    body = {
        "inputs": [
            {"name": name, "shape": [len(rows)], "datatype": datatypes[name], "data": [row[name] for row in rows]}
            for name in ASKED
        ]
    }
    url = f"{capstan.model_server.url(LOOP)}/v2/models/{LOOP}/infer"
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(url, json=body, headers={"authorization": f"Bearer {capstan.token}"})
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    found: list[float] = outputs["prediction"]
    return found


async def test_a_regression_without_features_goes_round(home: Home) -> None:
    later = table_of(LATER)
    truth = later["kwh"].to_numpy()
    async with Capstan.connect(home.folder) as capstan:
        assert (await hand_in(capstan, RECIPE / "loop.yaml")).applied
        await commit(capstan, table_of(LEARNED), "first")
        deployment = await first_champion(capstan)

        rows = questions(later)
        answer = await capstan.model_server.predict(LOOP, rows)
        said = np.array(answer["predictions"])
        assert answer["model_version"] == deployment.model_version == 1
        assert np.abs(said - truth).mean() < 2 * NOISE_KWH
        assert await ask_v2(capstan, rows[:5]) == answer["predictions"][:5]

        await capstan.inference.flush(LOOP)
        await until(lambda: capstan.monitoring.monitor(LOOP), lambda found: found.predictions == len(rows) + 5)
        await commit(capstan, later, "later")
        await until(lambda: capstan.monitoring.monitor(LOOP), lambda found: found.labelled == len(rows) + 5)
        [quality] = await until(
            lambda: capstan.monitoring.quality(LOOP),
            lambda found: len(found) == 1 and found[0].labelled == len(rows) + 5,
        )
        weights = np.where(np.arange(len(rows)) < 5, 2, 1)
        assert (quality.metric, quality.coverage) == ("mae", 1.0)
        assert quality.value == pytest.approx(np.average(np.abs(said - truth), weights=weights))
        assert quality.low is not None and quality.value is not None and quality.high is not None
        assert quality.low < quality.value < quality.high

        await capstan.monitoring.advance(LOOP, BEGIN + timedelta(days=LATER.stop))
        [window] = await until(
            lambda: capstan.monitoring.windows(LOOP),
            lambda found: len(found) == 1 and found[0].state not in ("open", "evaluating"),
        )
        assert (window.state, window.rows) == ("quiet", len(rows) + 5), window
        assert {figure.column for figure in window.columns} == {"outside", "area", "built", "prediction"}

        found = await trace(capstan, answer["prediction_ids"][7])
        assert found.run.id == found.version.run and found.features == []
        assert [(file.partition, file.rows) for file in found.dataset.files] == [("first", len(LEARNED) * FLATS)]
        assert found.prediction.inputs == rows[7] and found.prediction.features == {}
        assert found.decision is not None and len(found.decision.gates) == 3

        run = await capstan.training.wait_for_run((await capstan.training.start(RunRequest(loop=LOOP))).id)
        assert run.state.value == "succeeded", run.problem
        decided = await until(lambda: capstan.registry.ledger(LOOP), lambda found: len(found) == 2)
        [versus] = [gate for gate in decided[0].gates if gate["kind"] == "champion"]
        assert decided[0].decision == "approved" and versus["passed"] and "mae" in versus["gate"], decided[0].gates
        assert sum([len(await capstan.service(name).dead_letters()) for name in capstan.urls]) == 0
