"""The spool as control reads it, beside a model server that renames files meanwhile; and placements as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.loop import LoopPart
from capstan_formats.segments import SegmentWriter, find_prediction
from capstan_inference.actions.ports import Placement
from capstan_inference.adapters import placements
from capstan_inference.adapters import spool as module
from capstan_inference.adapters.spool import FolderSpool
from capstan_inference.domain.parts import ServingPart
from capstan_testkit.log_records import log_record, new_ids

T0 = datetime(2013, 1, 1, tzinfo=UTC)


def micros(hours: float) -> int:
    return int((T0 + timedelta(hours=hours)).timestamp() * 1_000_000)


def segment(root: Path, name: str, *requests: list[float], place: str = "default/m") -> list[str]:
    """A file of one record per request; its rows have these event times, in hours. The ids of the first rows."""
    path = root / place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    firsts = []
    with SegmentWriter(path) as writer:
        for times in requests:
            ids = new_ids(len(times))
            firsts.append(ids.text(0))
            rows = [{"event_time": micros(hours), "outputs": {"late": 1.0}} for hours in times]
            writer.append(log_record(rows, ids=ids))
    return firsts


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.*"))


async def test_closed_segments_come_oldest_first_over_all_deployments(tmp_path: Path) -> None:
    for name, place in (("3.seg", "a/m"), ("1.seg", "b/x"), ("2.seg", "a/n"), ("0.open", "a/m"), ("4.damaged", "a/m")):
        segment(tmp_path, name, [0], place=place)
    found = await FolderSpool(tmp_path).sealed()
    assert [(one.project, one.deployment, one.path.name) for one in found] == [
        ("b", "x", "1.seg"), ("a", "n", "2.seg"), ("a", "m", "3.seg"),
    ]  # fmt: skip
    assert await FolderSpool(tmp_path / "not-there-yet").sealed() == []


async def test_a_summary_has_the_outermost_times_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    segment(tmp_path, "1.seg", [3, 1], [2], [5, 4, 0.5])
    spool = FolderSpool(tmp_path)
    (sealed,) = await spool.sealed()
    summary = await spool.summary(sealed)
    assert summary is not None and (summary.records, summary.rows) == (3, 6)
    assert (summary.first_event_time, summary.last_event_time) == (
        T0 + timedelta(hours=0.5), T0 + timedelta(hours=5),
    )  # fmt: skip


async def test_a_damaged_or_empty_segment_has_no_summary_and_is_set_aside(tmp_path: Path) -> None:
    segment(tmp_path, "1.seg", [0])
    segment(tmp_path, "2.seg")
    content = bytearray((tmp_path / "default/m/1.seg").read_bytes())
    content[40] ^= 1
    (tmp_path / "default/m/1.seg").write_bytes(content)
    spool = FolderSpool(tmp_path)
    damaged, empty = await spool.sealed()
    assert await spool.summary(damaged) is None and await spool.summary(empty) is None
    await spool.set_aside(damaged)
    await spool.drop(empty)
    assert names(tmp_path) == ["default/m/1.damaged"] and await spool.sealed() == []


async def test_what_a_gone_process_left_open_is_closed_and_nothing_is_lost_on_the_way(tmp_path: Path) -> None:
    segment(tmp_path, "1.open", [0], [1])
    segment(tmp_path, "2.open", place="other/n")
    segment(tmp_path, "3.open", [0], [1])
    content = bytearray((tmp_path / "default/m/3.open").read_bytes())
    content[40] ^= 1
    (tmp_path / "default/m/3.open").write_bytes(content)
    spool = FolderSpool(tmp_path)
    await spool.seal_left()
    assert names(tmp_path) == ["default/m/1.seg", "default/m/3.damaged"]
    (sealed,) = await spool.sealed()
    summary = await spool.summary(sealed)
    assert summary is not None and summary.rows == 2


async def test_a_prediction_is_found_open_or_closed_and_only_in_its_project(tmp_path: Path) -> None:
    (closed,) = segment(tmp_path, "1.seg", [0])
    (open_,) = segment(tmp_path, "2.open", [0], place="default/n")
    spool = FolderSpool(tmp_path)
    for prediction, file in ((closed, "1.seg"), (open_, "2.open")):
        found = await spool.find("default", prediction)
        assert found is not None and (found.segment, found.row) == (file, 0)
        for project in ("elsewhere", "..", "./default", "default/../default", "default\n", ""):
            assert await spool.find(project, prediction) is None


async def test_a_file_that_is_renamed_while_it_is_looked_for_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (wanted,) = segment(tmp_path, "1.open", [0])
    original, file = find_prediction, tmp_path / "default/m/1.open"

    def sealed_meanwhile(path: Path, prediction: str) -> Any:
        if file.exists():
            file.rename(file.with_suffix(".seg"))
        return original(path, prediction)

    monkeypatch.setattr(module, "find_prediction", sealed_meanwhile)
    found = await FolderSpool(tmp_path).find("default", wanted)
    assert found is not None and found.segment == "1.seg"


async def test_one_that_is_always_gone_is_not_looked_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment(tmp_path, "1.open", [0])
    looks: list[Path] = []

    def gone(path: Path, prediction: str) -> Any:
        looks.append(path)
        raise FileNotFoundError

    monkeypatch.setattr(module, "find_prediction", gone)
    assert await FolderSpool(tmp_path).find("default", "x") is None and len(looks) == 3


def test_a_placement_is_read_as_it_was_written_and_has_one_spelling(make_part: Callable[..., LoopPart]) -> None:
    part = ServingPart.of(make_part().resolved)
    placement = Placement("default", "delay", 3, 9, "a" * 64, part)
    text = placements.text(placement)
    assert placements.parse(text) == placement and placements.text(placements.parse(text)) == text
    told = placements.command(placement, Path("/packages/a"))
    assert told["path"] == "/packages/a" and told["entity_columns"] == ["flight", "departure"]


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"project": "p"}', "{", '{"version": "three"}'])
def test_what_is_no_placement_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        placements.parse(text)
