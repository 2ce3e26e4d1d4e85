"""What a promotion is judged on where objects are gone, or written by another recipe: said, and no crash."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_contracts.events import GateFigure
from capstan_contracts.ids import uuid7
from capstan_contracts.loop import ResolvedLoop
from capstan_registry.actions.judge_promotion import JudgePromotion
from capstan_registry.actions.promotion_case import PromotionCase
from capstan_registry.jobs import scoring
from capstan_registry.tables import PromotionRow, VersionRow
from capstan_servicekit.errors import NotFound
from capstan_servicekit.jobs.api import Job, JobKind, fields_of
from capstan_servicekit.objects.folder import FolderObjectStore

CHAMPION_GATE: dict[str, Any] = {"noWorseThanChampion": {"metric": "auc", "margin": 0.05}}
AUC: dict[str, Any] = {"metric": "auc", "min": 0.5}
NOW = datetime(2013, 7, 1, tzinfo=UTC)


class Here:
    """Runs jobs in this process; what they are given goes through JSON, as on its way to a worker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        yield self._folder

    async def call(self, job: JobKind[Any, Any], given: Any, *, scratch: Path, **limits: Any) -> Any:
        module, _, function = job.function.partition(":")
        made = getattr(import_module(module), function)(Job(json.loads(json.dumps(fields_of(given))), scratch))
        return job.made(**json.loads(json.dumps(fields_of(made))))


class Objects(FolderObjectStore):
    """Counts what is fetched."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.fetched: list[str] = []
        self.asked = 0

    async def local_path(self, project: str, digest: str) -> Path:
        self.fetched.append(digest)
        return await super().local_path(project, digest)

    async def exists(self, project: str, digest: str) -> bool:
        self.asked += 1
        return await super().exists(project, digest)


@dataclass
class Judgement:
    """Version 4 against champion 3 and its predecessors, each with objects of its own."""

    folder: Path
    objects: Objects
    versions: dict[int, VersionRow]
    loop_body: Callable[..., dict[str, Any]]
    gates: list[dict[str, Any]] = field(default_factory=lambda: [CHAMPION_GATE])

    async def __call__(self, candidate: int, champion: int, *former: int) -> GateFigure:
        """The figure of the last gate."""
        promotion = PromotionRow(requested_by="ada", approval=None)
        loop = ResolvedLoop.model_validate(self.loop_body(gates=self.gates))
        rows = self.versions
        case = PromotionCase(promotion, rows[candidate], rows[champion], tuple(map(rows.__getitem__, former)), loop)
        jobs: Any = Here(self.folder)
        return (await self.judge(jobs)("default", case, _silent))[-1]

    def judge(self, jobs: Any) -> JudgePromotion:
        return JudgePromotion(jobs, self.objects, timeout_s=60, resamples=1000)

    async def lose(self, digest: str | None) -> None:
        """The object is not there any more."""
        assert digest is not None
        (await self.objects.local_path("default", digest)).unlink()
        with pytest.raises(NotFound):
            await self.objects.local_path("default", digest)


async def _silent(done: int, total: int, message: str) -> None:
    """Nobody looks."""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory, make_package: Callable[..., Path]) -> dict[int, Path]:
    """Four models that are nearly alike, and different files."""
    folder = tmp_path_factory.mktemp("packages")
    return {version: make_package(folder / str(version), rounds=12 + version) for version in (1, 2, 3, 4)}


@pytest.fixture
async def judged(
    tmp_path: Path, packages: dict[int, Path], make_holdout: Callable[..., Path], loop_body: Callable[..., Any]
) -> Judgement:
    objects, versions = Objects(tmp_path / "objects"), dict[int, VersionRow]()
    whole = pq.read_table(make_holdout(tmp_path / "whole.parquet", rows=2000))
    for version, package in packages.items():
        sets = {"training_set": whole.slice(0, 400 * version), "holdout": whole.slice(400 * version - 300, 300)}
        digests = {name: await put(objects, tmp_path / f"{version}-{name}", table) for name, table in sets.items()}
        versions[version] = VersionRow(
            project="default", model="flight-delay", version=version, run=uuid7(), dataset="flights", metrics={},
            package=await objects.put_file("default", package), dataset_version="cd" * 32, created_at=NOW, **digests,
        )  # fmt: skip
    return Judgement(tmp_path, objects, versions, loop_body)


async def put(objects: Objects, path: Path, table: pa.Table) -> str:
    pq.write_table(table, path)
    return await objects.put_file("default", path)


async def test_a_former_champion_whose_package_is_gone_is_not_compared_and_the_promotion_is_judged(
    judged: Judgement,
) -> None:
    await judged.lose(judged.versions[1].package)
    figure = await judged(4, 3, 2, 1)
    assert figure.figures["not_compared"] == ["version 1: the package of the former champion is gone"]
    assert figure.figures["former"] == [2]
    assert figure.figures["against_champion"]["rows"] == 300


async def test_a_champion_whose_package_is_gone_refuses_with_the_reason(judged: Judgement) -> None:
    await judged.lose(judged.versions[3].package)
    figure = await judged(4, 3)
    assert figure.passed is False and figure.sentence == "Not passed: the package of the champion is gone."


async def test_of_a_version_whose_holdout_is_gone_it_is_not_known_what_it_has_learned(judged: Judgement) -> None:
    """Its training set holds the rows that it held out, too, and nobody can tell them apart any more."""
    await judged.lose(judged.versions[4].holdout)
    judged.gates = [AUC]
    figure = await judged(4, 3)
    assert figure.sentence == "Not passed: the holdout that the run pinned is gone."
    judged.gates = [CHAMPION_GATE]
    assert (await judged(4, 3)).sentence == figure.sentence
    against = (await judged(3, 4)).figures["against_champion"]
    assert against["seen"][1] == {"version": 4, "known": False, "why": "its holdout is gone"}
    assert (against["rows"], against["left_out"]) == (300, 0)
    assert against["not_joined"] == ["the holdout of version 4 is gone"]


async def test_a_training_set_that_is_gone_or_cannot_be_read_is_not_one_that_was_never_kept(judged: Judgement) -> None:
    await judged.lose(judged.versions[3].training_set)
    sentence = (await judged(4, 3)).sentence
    assert "what version 3 learned from is not known: its training set is gone" in sentence
    judged.versions[3].training_set = await judged.objects.put_bytes("default", b"PAR1 not really")
    sentence = (await judged(4, 3)).sentence
    assert "what version 3 learned from is not known: its training set cannot be read" in sentence
    judged.versions[3].training_set = await put(judged.objects, judged.folder / "bare", pa.table({"distance": [1.0]}))
    sentence = (await judged(4, 3)).sentence
    assert "what version 3 learned from is not known: its training set has no column 'item_id'" in sentence
    judged.versions[3].training_set = None
    sentence = (await judged(4, 3)).sentence
    assert "what version 3 learned from is not known: no training set was kept" in sentence


async def changed(judged: Judgement, version: int, column: str, values: pa.Array) -> None:
    """Another recipe wrote this column of a version's rows in another way; the rows' ids are their numbers."""
    row = judged.versions[version]
    for name in ("holdout", "training_set"):
        digest = getattr(row, name)
        table = pq.read_table(await judged.objects.local_path("default", digest))
        made = values.take(pa.array([int(item.split("-")[-1]) for item in table["item_id"].to_pylist()]))
        table = table.set_column(table.column_names.index(column), column, made)
        setattr(row, name, await put(judged.objects, judged.folder / f"changed-{name}", table))


async def test_rows_whose_ids_are_numbers_are_joined_with_rows_whose_ids_are_text(judged: Judgement) -> None:
    await changed(judged, 4, "item_id", pa.array([str(number) for number in range(2000)]))
    await changed(judged, 3, "item_id", pa.array(np.arange(2000)))
    against = (await judged(3, 4)).figures["against_champion"]
    assert (against["rows"], against["left_out"], against["from_others"]) == (300, 300, 300)
    assert "not_joined" not in against
    against = (await judged(4, 3)).figures["against_champion"]
    assert (against["rows"], against["left_out"], against["from_others"]) == (300, 0, 0)


async def test_a_holdout_that_cannot_be_joined_is_named_with_the_reason(judged: Judgement) -> None:
    await changed(judged, 3, "carrier", pa.array(np.arange(2000)))
    figure = await judged(4, 3)
    (reason,) = figure.figures["against_champion"]["not_joined"]
    assert reason.startswith("the holdout of version 3 cannot be joined: ")
    assert reason in figure.sentence
    await changed(judged, 4, "carrier", pa.array(np.arange(2000)))
    refused = await judged(2, 4)
    assert "no row is left to compare on" in refused.sentence
    assert "the holdout of version 4 cannot be joined: " in refused.sentence


async def test_champions_are_fetched_only_for_gates_that_need_them_and_each_object_once(judged: Judgement) -> None:
    judged.gates = [AUC]
    await judged(4, 3, 2, 1)
    candidate = judged.versions[4]
    assert sorted(judged.objects.fetched) == sorted([candidate.package, str(candidate.holdout)])
    judged.objects.fetched.clear()
    judged.gates = [AUC, CHAMPION_GATE]
    await judged(4, 3, 2, 1)
    kept = [digest for row in judged.versions.values() for digest in (row.package, row.holdout, row.training_set)]
    assert sorted(judged.objects.fetched) == sorted(map(str, kept)) and judged.objects.asked == 0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """Rows of each holdout that was read and of each time that a model predicted, in order."""
    counted: dict[str, list[int]] = {"read": [], "predicted": []}
    check, predict = scoring._check_labels, scoring._predict

    def checked(labels: Any, *more: Any) -> None:
        counted["read"].append(len(labels))
        check(labels, *more)

    def predicted(package: Any, matrix: Any) -> Any:
        counted["predicted"].append(len(matrix))
        return predict(package, matrix)

    monkeypatch.setattr(scoring, "_check_labels", checked)
    monkeypatch.setattr(scoring, "_predict", predicted)
    return counted


async def test_each_holdout_is_read_once_and_each_row_scored_once_by_a_version_for_all_gates(
    judged: Judgement, work: dict[str, list[int]]
) -> None:
    """Four holdouts of 300 rows; the candidate scores its own for the first gate, and then only those of the others."""
    judged.gates = [AUC, CHAMPION_GATE]
    figure = await judged(4, 3, 2, 1)
    assert figure.figures["former"] == [2, 1]
    assert work == {"read": [300] * 4, "predicted": [300, 1200, 900, 1200, 1200]}


async def test_where_no_row_is_left_no_champion_is_scored(judged: Judgement, work: dict[str, list[int]]) -> None:
    await changed(judged, 4, "carrier", pa.array(np.arange(2000)))
    figure = await judged(2, 4)
    assert "no row is left to compare on" in figure.sentence
    assert work["predicted"] == [300]


async def test_a_candidate_without_its_package_is_judged_by_nobody(judged: Judgement) -> None:
    judged.gates = [AUC]
    await judged.lose(judged.versions[4].package)
    with pytest.raises(NotFound):
        await judged(4, 3)
