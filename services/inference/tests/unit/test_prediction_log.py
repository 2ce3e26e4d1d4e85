"""The prediction log on real files: grouped, rotated, recovered, refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from capstan_formats.segments import SegmentWriter, read_segment
from capstan_inference.dataplane import log as module
from capstan_inference.dataplane.config import Limits
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.log import PredictionLog, claim_spool
from capstan_inference.dataplane.request_errors import NOT_READY, RequestError
from capstan_testkit.log_records import log_record


def record(number: int, size: int = 0) -> tuple[bytes, tuple[int, int]]:
    row = {"event_time": number, "inputs": {"name": f"p{number}", "pad": "x" * size}}
    return log_record([row]), (number, number)


@asynccontextmanager
async def opened(spool: Path, **limits: Any) -> AsyncIterator[PredictionLog]:
    log = PredictionLog(spool, Limits(**limits), Counters())
    log.start(asyncio.get_running_loop())
    yield log
    await asyncio.to_thread(log.close)


def files(spool: Path, pattern: str = "*/*/*") -> list[Path]:
    return sorted(spool.glob(pattern))


def ids(spool: Path, pattern: str = "*/*/*.seg") -> list[str]:
    return [
        row["inputs"]["name"]
        for path in sorted(spool.glob(pattern))
        for one in read_segment(path)
        for row in one.all_rows()
    ]


async def test_what_is_done_is_on_the_disk_and_requests_share_a_sync(tmp_path: Path) -> None:
    async with opened(tmp_path) as log:
        await asyncio.gather(*(log.append("default", "m", [record(i)], 1) for i in range(50)))
        assert sorted(ids(tmp_path, "*/*/*.open")) == sorted(f"p{i}" for i in range(50))
        assert log.counters.records == 50
        assert log.counters.syncs < 10
        assert await log.flush("default", "other") == {}
        sealed = await log.flush("default", "m")
        assert sealed["rows"] == 50 and (tmp_path / "default" / "m" / sealed["file"]).exists()
        await log.append("default", "m", [record(50)], 1)
    assert sorted(ids(tmp_path)) == sorted(f"p{i}" for i in range(51))
    assert len(files(tmp_path)) == 2


async def test_segments_are_sealed_by_size_and_by_age_and_kept_apart_by_deployment(tmp_path: Path) -> None:
    async with opened(tmp_path, segment_bytes=4096, segment_age_s=600) as log:
        for number in range(3):
            await log.append("default", "m", [record(number, 5000)], 1)
        await log.append("other", "m", [record(9)], 1)
    assert len(files(tmp_path, "default/m/*.seg")) == 3
    assert ids(tmp_path, "other/m/*.seg") == ["p9"]
    async with opened(tmp_path / "aged", segment_age_s=0.05) as log:
        await log.append("default", "m", [record(0)], 1)
        async with asyncio.timeout(5):
            while not ids(tmp_path / "aged"):  # noqa: ASYNC110 - another thread renames the file
                await asyncio.sleep(0.02)


async def test_a_disk_that_refuses_refuses_the_answer_and_the_next_one_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(SegmentWriter):
        def sync(self) -> None:
            raise OSError(28, "No space left on device")

    async with opened(tmp_path) as log:
        with monkeypatch.context() as patch:
            patch.setattr(module, "SegmentWriter", Full)
            with pytest.raises(RequestError) as refused:
                await log.append("default", "m", [record(1)], 1)
        assert refused.value.code == NOT_READY
        await log.append("default", "m", [record(2)], 1)
    assert ids(tmp_path) == ["p2"]


def test_a_claim_seals_what_was_left_open_and_sets_damage_aside(tmp_path: Path) -> None:
    folder = tmp_path / "default" / "m"
    folder.mkdir(parents=True)
    for name, numbers in (("a", [1, 2]), ("b", []), ("c", [3, 4])):
        with SegmentWriter(folder / f"{name}.open") as writer:
            for number in numbers:
                writer.append(record(number)[0])
    torn = (folder / "a.open").read_bytes()
    (folder / "a.open").write_bytes(torn[:-5])
    damaged = bytearray((folder / "c.open").read_bytes())
    damaged[40] ^= 1
    (folder / "c.open").write_bytes(damaged)
    claim_spool(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["a.seg", "c.damaged"]
    assert ids(tmp_path) == ["p1"]


def test_a_spool_has_one_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim_spool(tmp_path)
    monkeypatch.setattr(module, "_SPOOL_WAIT_S", 0.05)
    with pytest.raises(RequestError, match="another model server"):
        claim_spool(tmp_path)
