"""A prediction out of a damaged segment of the log: answered where its record is whole, else a sentence and no 500."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select

from capstan_formats.id_range import IdRange
from capstan_formats.segments import SegmentWriter
from capstan_inference.app import build, compose
from capstan_inference.settings import Settings
from capstan_inference.tables import SegmentRow
from capstan_testkit.harness import Harness, running
from capstan_testkit.log_records import log_record, new_ids

P = "/v1/projects/default"
T0 = int(datetime(2013, 1, 1, tzinfo=UTC).timestamp() * 1e6)


def flip(path: Path, offset: int) -> None:
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def written(folder: Path) -> tuple[list[IdRange], list[int]]:
    """A sealed segment of three records in the spool."""
    folder.mkdir(parents=True)
    ids, starts = [], []
    with SegmentWriter(folder / "1.open") as writer:
        for _ in range(3):
            ids.append(new_ids(1))
            starts.append(writer.size)
            writer.append(log_record([{"event_time": T0, "outputs": {"late": 1.0}}], ids=ids[-1]))
        writer.close()
    (folder / "1.open").rename(folder / "1.seg")
    return ids, starts


async def shipped(h: Harness) -> Path:
    async def there() -> str | None:
        async with h.kit.database.read() as session:
            return await session.scalar(select(SegmentRow.digest))

    digest = await h.until(there)
    return await h.kit.objects.local_path("default", digest)


async def look_up(h: Harness, ids: IdRange) -> Any:
    return await h.viewer.get(f"{P}/predictions/{ids.text(0)}")


async def test_what_is_whole_is_answered_and_the_rest_says_which_segment(tmp_path: Path, registry: Any) -> None:
    ids, starts = written(tmp_path / "spool" / "inference" / "default" / "delay")
    server: Any = Serverless()
    async with running(Settings, build, tmp_path, peers=registry, compose=partial(compose, server=server)) as h:
        path = await shipped(h)
        assert (await look_up(h, ids[1])).status_code == 200
        flip(path, starts[1] + 60)
        for number in (0, 2):
            found = await look_up(h, ids[number])
            assert (found.status_code, found.json()["outputs"]) == (200, {"late": 1.0})
        lost = await look_up(h, ids[1])
        assert (lost.status_code, lost.json()["code"]) == (500, "damaged")
        for words in (f"segment {path.name[:12]} of the log is damaged", "2 records with 2 predictions are whole",
                      f"damage at byte {starts[1]}"):  # fmt: skip
            assert words in lost.json()["detail"]
        path.parent.parent.parent.joinpath("damaged", path.name).unlink()
        gone = await look_up(h, ids[0])
        assert (gone.status_code, gone.json()["code"]) == (500, "damaged")
        assert "is gone" in gone.json()["detail"] and "nothing of it can be read" in gone.json()["detail"]


async def test_a_file_that_is_still_in_the_spool_gives_what_is_whole(tmp_path: Path, registry: Any) -> None:
    folder = tmp_path / "spool" / "inference" / "default" / "delay"
    ids, starts = written(folder)
    (folder / "1.seg").rename(folder / "1.damaged")  # as the shipper does with one that it cannot read
    flip(folder / "1.damaged", starts[0] + 60)
    server: Any = Serverless()
    async with running(Settings, build, tmp_path, peers=registry, compose=partial(compose, server=server)) as h:
        assert (await look_up(h, ids[2])).status_code == 200
        assert (await look_up(h, ids[0])).status_code == 404


class Serverless:
    """No model server is needed to look into its log."""

    servers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.replica_status: dict[tuple[str, str], Any] = {}
        self.serving: dict[tuple[str, str], Any] = {}
