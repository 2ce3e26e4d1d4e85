from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.kinds.modalities import MODALITY_SPECS
from capstan_contracts.kinds.sources import SOURCE_SPECS
from capstan_ingestion.app import build
from capstan_ingestion.settings import Settings
from capstan_ingestion.sources.port import SOURCES
from capstan_ingestion.tables import LoopRow, columns_read, dataset_row
from capstan_testkit.distributions import install_distribution
from capstan_testkit.harness import Harness, running

Make = Callable[..., Any]
LOOP = "/v1/projects/default/loops/delay"


@pytest.fixture
async def h(tmp_path: Path) -> AsyncIterator[Harness]:
    async with running(Settings, build, tmp_path, pythons={}) as harness:
        yield harness


@pytest.fixture
def part(make_spec: Make) -> Callable[..., dict[str, Any]]:
    def build_part(generation: int = 1, **dataset: Any) -> dict[str, Any]:
        definitions = {
            "service": {
                "name": "delay_v1",
                "labelTime": "at",
                "request": [{"name": "id", "dtype": "int64"}],
                "lookups": [],
            },
            "views": [],
        }
        spec = {
            "dataset": make_spec("trips", **dataset),
            "sources": [make_spec("weather")],
            "features": {"service": "delay_v1"},
            "training": {"pipeline": "pipeline.py:train", "label": "late"},
            "gates": [{"metric": "auc", "min": 0.6}],
        }
        loop = {"apiVersion": "capstan.dev/v1alpha1", "kind": "Loop", "metadata": {"name": "delay"}, "spec": spec}
        return {"generation": generation, "resolved": {"loop": loop, "definitions": definitions, "code": "a" * 64}}

    return build_part


async def names(h: Harness) -> list[str]:
    return [one["name"] for one in (await h.viewer.get("/v1/projects/default/datasets")).json()["items"]]


async def test_a_dry_run_says_what_would_change_and_changes_nothing(h: Harness, part: Make) -> None:
    answer = await h.service.put(f"{LOOP}?dry_run=true", json=part())
    assert answer.status_code == 200, answer.text
    assert answer.json()["changes"] == [
        "dataset trips: registered, its contract has 2 expectations",
        "dataset weather: registered, its contract has 2 expectations",
    ]
    assert await names(h) == []


async def test_applying_converges(h: Harness, part: Make) -> None:
    assert len((await h.service.put(LOOP, json=part())).json()["changes"]) == 2
    assert await names(h) == ["trips", "weather"]
    assert (await h.service.put(LOOP, json=part())).json()["changes"] == []
    changed = (await h.service.put(LOOP, json=part(2, keys=["id", "at"]))).json()
    assert changed["changes"] == ["dataset trips: keys changed from ['id'] to ['id', 'at']"]
    stale = await h.service.put(LOOP, json=part(1))
    assert (stale.status_code, stale.json()["errors"][0]["place"]) == (409, "generation")
    assert (await h.viewer.get("/v1/projects/default/datasets/trips")).json()["spec"]["keys"] == ["id", "at"]


async def test_a_generation_means_one_content(h: Harness, part: Make) -> None:
    await h.service.put(LOOP, json=part())
    other = await h.service.put(LOOP, json=part(1, keys=["at"]))
    assert other.status_code == 409


async def test_a_part_that_breaks_a_rule_changes_nothing(h: Harness, part: Make, make_contract: Make) -> None:
    broken = make_contract()
    broken["expectations"][0]["type"] = "expect_miracles"
    answer = await h.service.put(LOOP, json=part(1, contract=broken))
    assert answer.status_code == 400 and "expect_miracles" in answer.json()["detail"]
    assert (await h.service.put(f"{LOOP}?dry_run=true", json=part(1, contract="contract.json"))).status_code == 400
    assert (await h.service.put("/v1/projects/default/loops/other", json=part())).status_code == 400
    assert await names(h) == []


FOREIGN = """
from typing import Literal
from capstan_contracts.kinds.{module} import {base}

class Foreign({base}):
    kind: Literal["foreign"] = "foreign"
"""


@pytest.mark.parametrize(
    ("place", "module", "base"), [("modality", "modalities", "Modality"), ("source", "sources", "Source")]
)
async def test_a_kind_that_the_schema_knows_and_nothing_carries_out_is_refused_on_apply(
    h: Harness, part: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, module: str, base: str
) -> None:
    install_distribution(
        tmp_path,
        monkeypatch,
        name="foreign",
        modules={"foreign_kind": FOREIGN.format(module=module, base=base)},
        entry_points={f"capstan.specs.{module}": {"foreign": "foreign_kind:Foreign"}},
        families=[SOURCE_SPECS, MODALITY_SPECS, SOURCES],
    )
    answer = await h.service.put(LOOP, json=part(**{place: "foreign"}))
    assert answer.status_code == 400, answer.text
    assert f"the {place} 'foreign' is not installed in ingestion" in answer.json()["detail"]
    assert [error["place"] for error in answer.json()["errors"]] == [place]
    assert await names(h) == []


async def test_a_source_that_fails_on_import_is_named_on_apply(
    h: Harness, part: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_distribution(
        tmp_path,
        monkeypatch,
        name="broken",
        modules={
            "foreign_kind": FOREIGN.format(module="sources", base="Source"),
            "broken_source": "raise RuntimeError('no driver')",
        },
        entry_points={
            "capstan.specs.sources": {"foreign": "foreign_kind:Foreign"},
            "capstan.sources": {"foreign": "broken_source:Foreign"},
        },
        families=[SOURCE_SPECS, SOURCES],
    )
    answer = await h.service.put(LOOP, json=part(source="foreign"))
    assert answer.status_code == 400 and "RuntimeError: no driver" in answer.json()["detail"], answer.text


async def test_what_a_loop_reads_is_needed_in_every_file(h: Harness, part: Make) -> None:
    async def read() -> list[str]:
        async with h.kit.database.read() as session:
            return await columns_read(session, await dataset_row(session, "default", "trips"))

    await h.service.put(LOOP, json=part())
    assert await read() == ["at", "id", "late"]
    async with h.kit.database.write() as session:
        (await session.get_one(LoopRow, ("default", "delay"))).reads = None  # as the release before left it
    assert (await h.service.put(LOOP, json=part())).json()["changes"] == []
    await h.service.put(LOOP, json=part(2, keys=["id", "at"]))
    assert await read() == ["at", "id", "late"]
    more = part(3, keys=["id", "at"])
    more["resolved"]["definitions"]["service"]["request"].append({"name": "origin", "dtype": "string"})
    answer = await h.service.put(LOOP, json=more)
    assert answer.json()["changes"] == ["loop delay: files of trips need the columns at, id, late, origin"]
    assert await read() == ["at", "id", "late", "origin"]
