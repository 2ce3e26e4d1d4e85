"""kill -9 of any one part in the middle of ingest, training or promotion: nothing is lost or doubled, the loop goes on.

A seed names the moment: phase, victim and delay. `make faults FAULTS_ARGS="--seed 7"` plays one again.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from demo.chapter import LOOP, TRAIN
from demo.traffic import ask, questions

from capstan_client.cli.loop import hand_in
from capstan_client.platform.home import Home
from capstan_client.platform.processes import same_process
from capstan_client.sdk import Capstan, CapstanProblem
from capstan_client.sdk.transport import poll
from capstan_contracts.ids import SERVICES
from capstan_contracts.rest.ingestion import BatchState

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

RECIPE = Path(__file__).resolve().parents[2] / "pipelines" / "flight-delay"
PHASES = ("ingest", "training", "promotion")
LONGEST_DELAY_S = {"ingest": 6.0, "training": 8.0, "promotion": 5.0}
PATIENCE_S = 150
EVERY_NTH = 4


@dataclass(frozen=True)
class Moment:
    """When and whom."""

    phase: str
    victim: str
    delay_s: float

    @classmethod
    def of(cls, seed: int) -> Moment:
        """The moment that a seed names."""
        chance = random.Random(seed)
        phase = PHASES[seed % len(PHASES)]
        victim = chance.choice([*SERVICES, "broker"])
        return cls(phase, victim, round(chance.uniform(0, LONGEST_DELAY_S[phase]), 2))


async def kill(home: Home, moment: Moment) -> int:
    """SIGKILL the victim's process; its pid."""
    await asyncio.sleep(moment.delay_s)
    record = home.record()
    assert record is not None
    pid, started = record.processes[moment.victim]
    assert same_process(pid, started), f"{moment.victim} was not running"
    os.kill(pid, signal.SIGKILL)
    return pid


async def test_a_killed_part_loses_nothing(
    seed: int, platform: Home, capstan: Capstan, batches: Path, tmp_path: Path
) -> None:
    moment = Moment.of(seed)
    print(f"seed {seed}: {moment}")
    months = [thinned(batches / "flights" / f"{month}.parquet", tmp_path) for month in TRAIN]
    await hand_in(capstan, RECIPE / "loop.yaml")
    await committed(capstan, "planes", batches / "planes" / "planes.parquet", "all")
    for month in TRAIN:
        await committed(capstan, "weather", batches / "weather" / f"{month}.parquet", month)

    killer = asyncio.create_task(kill(platform, moment)) if moment.phase == "ingest" else None
    for month, file in zip(TRAIN, months, strict=True):
        await committed(capstan, "flights", file, month)
    runs = await until(capstan.training.runs, bool)
    if moment.phase == "training":
        killer = asyncio.create_task(kill(platform, moment))
    run = await until(lambda: capstan.training.run(runs[0].id), lambda found: found.state.finished)
    if moment.phase == "promotion":
        killer = asyncio.create_task(kill(platform, moment))
    deployment = await until(lambda: deployed(capstan), lambda found: found is not None and found.state == "serving")
    assert killer is not None
    pid = await killer
    await until(lambda: reborn(platform, moment.victim, pid), bool)
    deployment = await until(lambda: deployed(capstan), lambda found: found is not None and found.state == "serving")

    expected = sum(pq.read_metadata(file).num_rows for file in months)
    await nothing_lost_or_doubled(capstan, expected, run.id)
    await the_loop_goes_on(capstan, months[-1], deployment.model_version)


async def nothing_lost_or_doubled(capstan: Capstan, expected_rows: int, run_id: str) -> None:
    """Exactly the rows that were sent, one version per batch, one run, one model version, one decision."""
    dataset = await capstan.ingestion.dataset("flights")
    versions = await capstan.ingestion.versions("flights")
    assert dataset.rows == expected_rows
    assert [len(version.files) for version in versions] == [3, 2, 1]
    assert [version.parent for version in versions] == [versions[1].version, versions[2].version, None]
    assert [batch.state for batch in await capstan.ingestion.batches("flights")] == [BatchState.COMMITTED] * 3
    runs = await capstan.training.runs()
    assert [(run.id, run.state.value) for run in runs] == [(run_id, "succeeded")]
    models = await capstan.registry.versions(LOOP)
    assert [(model.run, model.package) for model in models] == [(run_id, runs[0].package)]
    ledger = await until(lambda: capstan.registry.ledger(LOOP), bool)
    assert [(entry.version, entry.decision) for entry in ledger] == [(models[0].version, "approved")]
    assert (await capstan.registry.verify_ledger()).intact
    letters = [letter for name in SERVICES for letter in await capstan.service(name).dead_letters()]
    assert letters == []


async def the_loop_goes_on(capstan: Capstan, month: Path, version: int | None) -> None:
    """Predictions are answered by the champion, and each answered one is in the log."""
    resolved = await capstan.registry.loop(LOOP)
    assert resolved.resolved is not None
    columns = [column.name for column in resolved.resolved.definitions.service.request]
    answered = await ask(capstan, LOOP, questions(month, columns, 200))
    assert answered.versions == {version}
    for prediction in answered.ids[::50]:
        assert (await capstan.inference.prediction(prediction)).model_version == version
    await capstan.inference.flush(LOOP)
    monitored = await until(lambda: capstan.monitoring.monitor(LOOP), lambda found: found.predictions >= answered.rows)
    assert monitored.predictions == answered.rows


async def deployed(capstan: Capstan) -> Any:
    """The deployment, or None while there is none."""
    try:
        return await capstan.inference.deployment(LOOP)
    except CapstanProblem:
        return None


async def reborn(home: Home, victim: str, pid: int) -> bool:
    """Whether the victim runs again."""
    record = home.record()
    found = record.processes.get(victim) if record else None
    return found is not None and found[0] != pid and same_process(found[0], found[1])


async def committed(capstan: Capstan, dataset: str, file: Path, partition: str) -> None:
    """Send a batch and wait until it is in a version."""
    content = await asyncio.to_thread(file.read_bytes)
    batch = await capstan.ingestion.upload(dataset, content, partition=partition, filename=file.name)
    batch = await capstan.ingestion.wait_for_batch(batch.id, timeout_s=PATIENCE_S)
    assert batch.state is BatchState.COMMITTED, f"{dataset} {partition}: {batch.state} {batch.problem} {batch.verdict}"


def thinned(file: Path, folder: Path) -> Path:
    """Every fourth flight: the same story in less time, and bytes of this seed's own."""
    table = pq.read_table(file)
    target = folder / file.name
    pq.write_table(table.take(list(range(0, table.num_rows, EVERY_NTH))), target)
    return target


async def until(look: Callable[[], Awaitable[Any]], done: Callable[[Any], bool]) -> Any:
    """Wait for the platform, two and a half minutes at most."""
    return await poll(look, done, timeout_s=PATIENCE_S, every_s=0.3)
