"""What every medium must do: give the rows as they are, or say in one sentence why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow as pa
import pytest

ROWS = 200
MANY = 10_000


class Read(Protocol):
    """Reads bytes as a file of the medium under test, by the port of ingestion."""

    def __call__(
        self,
        content: bytes,
        *,
        types: dict[str, str] | None = None,
        ignored: Sequence[str] = (),
        may_be_empty: bool = False,
        max_bytes: int = 1 << 24,
        max_columns: int = 100,
    ) -> pa.Table:
        """The table; the medium's refusal otherwise."""
        ...


@dataclass(frozen=True)
class MediumCase:
    """A medium under test. `encode` writes a table as a file of it; `refused` is the exception of a refusal.

    `text`: values are text, so a type may have to be declared, and a file cut at the end of a row is a shorter file.
    `header`: a file without rows still has columns.
    """

    kind: str
    encode: Callable[[pa.Table], bytes]
    refused: type[Exception]
    text: bool = False
    header: bool = True
    repeats_names: bool = True


def rows(count: int = ROWS) -> pa.Table:
    """A table of the types that every medium can write."""
    at = datetime(2013, 1, 1, 5, 15, tzinfo=UTC)
    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "at": pa.array([at] * count, pa.timestamp("us", "UTC")),
            "share": pa.array([None if index % 7 == 3 else index + 0.25 for index in range(count)], pa.float64()),
            "name": pa.array([f"Zoë {index}" for index in range(count)], pa.string()),
            "late": pa.array([index % 2 == 0 for index in range(count)], pa.bool_()),
        }
    )


def said(error: BaseException) -> list[Any]:
    """The refusals of an error: each has a rule, and one sentence of one line."""
    refusals: list[Any] = list(error.refusals)  # type: ignore[attr-defined]
    assert refusals
    for refusal in refusals:
        assert refusal.rule == refusal.rule.lower() and " " not in refusal.rule
        assert 10 <= len(refusal.sentence) <= 1000 and "\n" not in refusal.sentence, refusal.sentence
        assert "Traceback" not in refusal.sentence
    return refusals


class MediumBehaviour:
    """Inherit, and give the fixtures `medium` (a MediumCase) and `read` (a Read)."""

    def test_rows_come_back_in_their_order(self, medium: MediumCase, read: Read) -> None:
        table = read(medium.encode(rows()), types={"at": "timestamp"})
        assert table.column_names == ["id", "at", "share", "name", "late"]
        for name in ("id", "share", "name", "late"):
            assert table[name].to_pylist() == rows()[name].to_pylist()
        assert {instant.isoformat() for instant in table["at"].to_pylist()} == {"2013-01-01T05:15:00+00:00"}

    def test_what_is_ignored_is_not_read(self, medium: MediumCase, read: Read) -> None:
        table = read(medium.encode(rows()), ignored=["name", "at"])
        assert table.column_names == ["id", "share", "late"]

    def test_a_column_without_a_name_is_called_by_its_place(self, medium: MediumCase, read: Read) -> None:
        unnamed = rows(2).select(["id", "name"]).rename_columns(["", "name"])
        assert read(medium.encode(unnamed)).column_names == ["Unnamed: 0", "name"]

    def test_names_with_spaces_signs_and_letters_of_the_world(self, medium: MediumCase, read: Read) -> None:
        names = ["Delay (min)", "größe", "a.b", "x;y", "列"]
        assert read(medium.encode(rows(2).rename_columns(names))).column_names == names

    def test_a_declared_text_stays_text(self, medium: MediumCase, read: Read) -> None:
        zips = pa.table({"zip": ["01234", "00001"]})
        assert read(medium.encode(zips), types={"zip": "string"})["zip"].to_pylist() == ["01234", "00001"]

    def test_no_bytes_and_no_rows_are_refused(self, medium: MediumCase, read: Read) -> None:
        with pytest.raises(medium.refused) as empty:
            read(b"")
        assert [refusal.rule for refusal in said(empty.value)] == ["empty-file"]
        if medium.header:
            with pytest.raises(medium.refused) as none:
                read(medium.encode(rows(0)))
            assert [refusal.rule for refusal in said(none.value)] == ["no-rows"]
            assert read(medium.encode(rows(0)), may_be_empty=True).num_rows == 0

    @pytest.mark.parametrize("part", [0.01, 0.2, 0.5, 0.77, 0.9, 0.99])
    def test_a_file_that_was_cut_off_is_refused(self, medium: MediumCase, read: Read, part: float) -> None:
        content = medium.encode(rows(MANY))
        cut = content[: int(len(content) * part)]
        if medium.text and cut.endswith(b"\n"):
            cut = cut[:-5]  # a cut between rows is a shorter file that nothing tells from a whole one
        try:
            table = read(cut, types={"at": "timestamp", "late": "bool"})
        except medium.refused as error:
            said(error)
        else:
            # Only a text can end within its last value without a sign of it.
            assert medium.text and table.num_rows < MANY
            whole = rows(table.num_rows)
            assert table["id"][:-1].to_pylist() == whole["id"][:-1].to_pylist()

    @pytest.mark.parametrize(
        "content",
        [b"\0" * 5000, b"\xff\xfe\xfd" * 100, bytes(range(256)) * 20, b"PK\x03\x04rest", b"\x1f\x8b\x08rest", b"hello"],
    )
    def test_other_bytes_are_refused(self, medium: MediumCase, read: Read, content: bytes) -> None:
        with pytest.raises(medium.refused) as error:
            read(content)
        said(error.value)

    def test_bytes_that_changed_on_the_way_give_rows_or_a_refusal(self, medium: MediumCase, read: Read) -> None:
        content = medium.encode(rows())
        for place in range(0, len(content), max(1, len(content) // 60)):
            damaged = bytearray(content)
            damaged[place] ^= 0x55
            try:
                read(bytes(damaged))
            except medium.refused as error:
                said(error)

    def test_too_much_is_refused(self, medium: MediumCase, read: Read) -> None:
        content = medium.encode(rows(MANY))
        with pytest.raises(medium.refused) as large:
            read(content, max_bytes=20_000)
        assert [refusal.rule for refusal in said(large.value)] == ["too-large"]
        with pytest.raises(medium.refused) as wide:
            read(content, max_columns=4)
        assert [refusal.rule for refusal in said(wide.value)] == ["too-many-columns"]

    def test_a_name_that_two_columns_have_is_refused_unless_it_is_ignored(self, medium: MediumCase, read: Read) -> None:
        if not medium.repeats_names:
            pytest.skip(f"{medium.kind} has no place for two columns of one name")
        content = medium.encode(pa.Table.from_arrays(rows(3).columns[:3], names=["id", "x", "x"]))
        with pytest.raises(medium.refused) as twice:
            read(content)
        assert [refusal.column for refusal in said(twice.value)] == ["x"]
        assert read(content, ignored=["x"]).column_names == ["id"]

    def test_two_threads_read_at_once(self, medium: MediumCase, read: Read) -> None:
        content = medium.encode(rows(MANY))
        with ThreadPoolExecutor(4) as pool:
            tables = list(pool.map(lambda _: read(content, types={"at": "timestamp"}), range(4)))
        assert all(table.equals(tables[0]) for table in tables)
