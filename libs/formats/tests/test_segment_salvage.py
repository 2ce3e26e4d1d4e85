"""What a damaged segment still gives: every record but those whose own bytes are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from capstan_formats.id_range import IdRange, id_number, id_prefix
from capstan_formats.record_schema import RecordSchema
from capstan_formats.records import encode_record
from capstan_formats.segment_salvage import salvage
from capstan_formats.segments import SegmentError, SegmentWriter, find_prediction

SCHEMA = RecordSchema("m", 1, "0" * 64, "m", 1, (("inputs", "number"),))
FIRST = id_number("0190aaaa-bbbb-7ccc-8ddd-eeee00000000")


def written(path: Path) -> tuple[list[str], list[int]]:
    """Three records of two rows; the ids of their first rows, and where each begins."""
    ids, starts = [], []
    with SegmentWriter(path) as writer:
        for number in range(3):
            ids.append(IdRange(FIRST + (number << 32), 2))
            starts.append(writer.size)
            writer.append(encode_record(SCHEMA, ids[-1], 0, (1, 2), [[f"no {number}"] * 2]))
        writer.close()
    return [one.texts()[0] for one in ids], starts


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_all_but_the_damaged_record_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    ids, starts = written(path)
    flip(path, starts[1] + 40)
    with pytest.raises(SegmentError):
        find_prediction(path, ids[2])
    for number in (0, 2):
        kept = salvage(path, ids[number])
        assert kept.found is not None and kept.found[0].row(kept.found[1])["inputs"] == {"number": f"no {number}"}
        assert (kept.records, kept.rows, [fault.offset for fault in kept.faults]) == (2, 4, [starts[1]])
    assert salvage(path, ids[1]).found is None


def test_behind_a_damaged_head_nothing_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    ids, starts = written(path)
    flip(path, starts[1] + 1)
    assert salvage(path, ids[0]).found is not None
    kept = salvage(path, ids[2])
    assert (kept.found, kept.records, [fault.offset for fault in kept.faults]) == (None, 1, [starts[1]])


def test_a_file_that_is_no_segment_any_more_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    ids, _ = written(path)
    flip(path, 0)
    kept = salvage(path, ids[0])
    assert (kept.found, kept.records, len(kept.faults)) == (None, 0, 1)
    assert id_prefix(id_number(ids[0])) in path.read_bytes()
