"""Segments survive every cut at every byte, and call damage by its offset."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from capstan_formats.id_range import IdRange, IdRangeError, id_number, id_text
from capstan_formats.record_schema import RecordSchema
from capstan_formats.records import encode_record
from capstan_formats.segment_frames import HEADER, frame_bytes
from capstan_formats.segments import (
    SegmentError,
    SegmentWriter,
    find_prediction,
    read_heads,
    read_segment,
    recover_segment,
)

SCHEMA = RecordSchema("m", 1, "0" * 64, "m", 1, (("inputs", "number"),))
FIRST = id_number("0190aaaa-bbbb-7ccc-8ddd-eeee00000000")


def record(number: int, *times: int) -> bytes:
    ids = IdRange(FIRST + (number << 32), len(times))
    return encode_record(SCHEMA, ids, 0, times, [[f"no {number}"] * len(times)])


def written(path: Path, count: int = 3, close: bool = True) -> list[int]:
    """A segment of `count` records; returns the offsets of their ends."""
    ends = [len(HEADER)]
    with SegmentWriter(path) as writer:
        for number in range(count):
            writer.append(record(number, 100 + number, 50))
            ends.append(writer.size)
        if close:
            writer.close()
    return ends


def ids(path: Path) -> list[int]:
    return [int(entry.row(0)["inputs"]["number"][3:]) for entry in read_segment(path)]


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    with SegmentWriter(path) as writer:
        writer.append(record(1, 20, 10))
        writer.append(record(2, 15))
        writer.append(record(3, 30, 5), times=(5, 30))
        writer.sync()
        assert (writer.count, writer.size) == (3, path.stat().st_size)
        before = path.read_bytes()
        info = writer.close()
    assert ids(path) == [1, 2, 3]
    assert (info.count, info.first_event_time, info.last_event_time) == (3, 5, 30)
    assert (info.sha256, info.size) == (hashlib.sha256(before).hexdigest(), path.stat().st_size)
    assert path.stat().st_mode & 0o777 == 0o600


def test_empty_segment(tmp_path: Path) -> None:
    info = SegmentWriter(tmp_path / "a.seg").close()
    assert (info.count, info.first_event_time, info.last_event_time) == (0, None, None)
    assert ids(tmp_path / "a.seg") == []
    assert recover_segment(tmp_path / "a.seg") == info


def test_readable_while_it_is_written(tmp_path: Path) -> None:
    with SegmentWriter(tmp_path / "a.seg") as writer:
        for number in range(3):
            writer.append(record(number, 1))
            assert len(ids(tmp_path / "a.seg")) == number + 1


def test_every_cut_keeps_the_whole_records_and_recovers(tmp_path: Path) -> None:
    whole = tmp_path / "whole.seg"
    ends = written(whole)
    data = whole.read_bytes()
    closed = recover_segment(whole)
    for cut in range(len(data) + 1):
        path = tmp_path / "cut.seg"
        path.write_bytes(data[:cut])
        kept = max(0, sum(end <= cut for end in ends) - 1)
        assert len(ids(path)) == kept
        info = recover_segment(path)
        assert (info.count, len(ids(path))) == (kept, kept)
        assert recover_segment(path) == info
        assert info.size == path.stat().st_size
        if cut >= ends[-1]:
            assert (path.read_bytes(), info.sha256) == (data, closed.sha256)


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    whole = tmp_path / "whole.seg"
    ends = written(whole)
    data = whole.read_bytes()
    starts = [0, *ends]
    for position in range(len(data)):
        path = tmp_path / "flipped.seg"
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x40]) + data[position + 1 :])
        offset = max(start for start in starts if start <= position)
        footer_payload = position >= ends[-1] + 12
        if footer_payload:
            assert len(ids(path)) == 3
            assert recover_segment(path).count == 3
            assert path.read_bytes() == data
            continue
        with pytest.raises(SegmentError) as caught:
            ids(path)
        assert caught.value.offset == offset
        damaged = path.read_bytes()
        with pytest.raises(SegmentError, match=f"byte {offset}"):
            recover_segment(path)
        assert path.read_bytes() == damaged


def test_zeros_of_an_unfinished_write_are_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    end = written(path, close=False)[-1]
    with path.open("ab") as file:
        file.write(b"\0" * 5000)
    assert recover_segment(path).count == 3
    path.write_bytes(path.read_bytes()[:end] + b"\0" * 5000 + b"x")
    with pytest.raises(SegmentError, match=f"byte {end}"):
        recover_segment(path)


def test_a_torn_last_payload(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    end = written(path, close=False)[-1]
    path.write_bytes(path.read_bytes()[: end - 5] + b"\0" * 5)
    assert len(ids(path)) == 2
    assert recover_segment(path).count == 2


def test_footer_of_other_records(tmp_path: Path) -> None:
    one, two = tmp_path / "one.seg", tmp_path / "two.seg"
    first, second = written(one, 2)[-1], written(two, 3)[-1]
    two.write_bytes(two.read_bytes()[:second] + one.read_bytes()[first:])
    with pytest.raises(SegmentError, match="not those that the footer sealed"):
        ids(two)
    with pytest.raises(SegmentError, match="not those that the footer sealed"):
        recover_segment(two)
    one.write_bytes(one.read_bytes() + b"x")
    with pytest.raises(SegmentError, match="bytes after the footer"):
        ids(one)


@pytest.mark.parametrize("payload", [b"[1]", b'{"id": "1", "rows": [{"event_time": 1}]}', record(1, 5)[:40]])
def test_frames_that_are_no_records(tmp_path: Path, payload: bytes) -> None:
    path = tmp_path / "a.seg"
    path.write_bytes(HEADER + frame_bytes(payload))
    with pytest.raises(SegmentError, match="byte 8: a record"):
        ids(path)
    with pytest.raises(SegmentError, match="byte 8: a record"):
        recover_segment(path)
    with SegmentWriter(tmp_path / "b.seg") as writer:
        with pytest.raises(SegmentError, match="byte 8: a record"):
            writer.append(payload)
        assert writer.count == 0


def test_a_prediction_is_found_by_its_id_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    with SegmentWriter(path) as writer:
        for number in range(3):
            writer.append(record(number, 10, 20, 30))
    found = find_prediction(path, id_text(FIRST + (1 << 32) + 2))
    assert found is not None and (found[0].row(found[1])["event_time"], found[0].row(0)["inputs"]) == (
        30,
        {"number": "no 1"},
    )
    assert find_prediction(path, id_text(FIRST + (1 << 32) + 3)) is None
    assert find_prediction(path, id_text(FIRST + (7 << 32))) is None
    with pytest.raises(IdRangeError, match="no UUIDv7"):
        find_prediction(path, "7")
    heads = list(read_heads(path))
    assert [head.ids.count for head in heads] == [3, 3, 3]
    assert heads[2].event_times.tolist() == [10, 20, 30]


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    path.write_bytes(b"CAPSEG\x01\x00 an earlier version")
    for read in (ids, recover_segment):
        with pytest.raises(SegmentError, match="of version 1, and this release reads version 2 only: read it with"):
            read(path)
    path.write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(SegmentError, match="not a log segment"):
        ids(path)
    with pytest.raises(FileExistsError):
        SegmentWriter(path)
    path.write_bytes(HEADER + frame_bytes(b"", 0))
    with pytest.raises(SegmentError, match="a frame of 0 bytes"):
        ids(path)


def test_closed_and_empty_payload(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "a.seg")
    with pytest.raises(SegmentError, match="1 to"):
        writer.append(b"")
    writer.close()
    for use in (writer.close, writer.sync, lambda: writer.append(record(1, 1))):
        with pytest.raises(SegmentError, match="closed"):
            use()


def test_a_full_disk_leaves_the_segment_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.seg"
    writer = SegmentWriter(path)
    writer.append(record(1, 1))
    before, real = path.read_bytes(), os.write

    def half_then_full(descriptor: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: len(data) // 2])

    monkeypatch.setattr("capstan_formats.segments.os.write", half_then_full)
    with pytest.raises(OSError, match="No space left"):
        writer.append(record(2, 2))
    monkeypatch.undo()
    assert path.read_bytes() == before
    writer.append(record(3, 3))
    assert writer.close().count == 2
    assert ids(path) == [1, 3]


def test_kill_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from capstan_formats.id_range import IdRange
from capstan_formats.record_schema import RecordSchema
from capstan_formats.records import encode_record
from capstan_formats.segments import SegmentWriter
writer, schema = SegmentWriter(Path(sys.argv[1])), RecordSchema("m", 1, "0" * 64, "m", 1, (("inputs", "number"),))
for number in range(10**9):
    ids = IdRange(0x0190AAAABBBB7CCC8DDDEEEE00000000, 1)
    writer.append(encode_record(schema, ids, 0, [number], [[f"no {number}"]]))
    print(number, flush=True)
"""
    path = tmp_path / "a.seg"
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    answered = [int(child.stdout.readline()) for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    answered += [int(line) for line in child.stdout if line.endswith("\n")]
    child.wait(10)
    child.stdout.close()
    info = recover_segment(path)
    assert info.count > answered[-1] >= 199
    assert ids(path) == list(range(info.count))
    assert (info.first_event_time, info.last_event_time) == (0, info.count - 1)
