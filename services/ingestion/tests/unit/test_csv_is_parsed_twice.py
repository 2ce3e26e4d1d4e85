"""A CSV file is parsed once for its values and at most once more for its texts, whatever is remarkable in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.csv as pacsv
import pytest

from capstan_contracts.kinds.media import CsvMedium
from capstan_ingestion.domain.file_refused import FileRefused, Limits
from capstan_ingestion.media.csv import Csv
from capstan_ingestion.media.port import Reading

LIMITS = Limits(100, 1 << 20)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The columns of each time that Arrow parsed a file."""
    columns: list[list[str]] = []
    read = pacsv.read_csv

    def counted(path: Path, reading: Any, parse: Any, convert: Any) -> Any:
        columns.append(list(convert.include_columns))
        return read(path, reading, parse, convert)

    monkeypatch.setattr(pacsv, "read_csv", counted)
    return columns


def test_numbers_without_a_doubt_are_parsed_once(tmp_path: Path, parsed: list[list[str]]) -> None:
    (tmp_path / "file").write_text("a,b\n1.5,x\n2.5,y\n")
    Csv().read(tmp_path / "file", Reading(CsvMedium(), LIMITS, {}))
    assert parsed == [["a", "b"]]


def test_all_that_is_remarkable_is_read_in_one_second_parse(tmp_path: Path, parsed: list[list[str]]) -> None:
    (tmp_path / "file").write_text("big,huge,gap,code,plain\n1e17,2.5e18,NA,007,x\n0.5,1.5,2,12,y\n")
    how = Reading(CsvMedium(), LIMITS, {})
    Csv().read(tmp_path / "file", how)
    assert parsed == [["big", "huge", "gap", "code", "plain"], ["big", "huge", "gap", "code"]]
    assert how.remarks.nulls == {"gap": {"NA": 1}} and how.remarks.leading_zeros == {"code": "007"}


def test_digits_that_mean_null_are_no_number_and_others_are(tmp_path: Path) -> None:
    spec = CsvMedium(nulls=["-9999999999999999999"])
    (tmp_path / "file").write_text("x\n-9999999999999999999\n1e17\n0.5\n")
    table = Csv().read(tmp_path / "file", Reading(spec, LIMITS, {}))
    assert table["x"].to_pylist() == [None, 1e17, 0.5]
    (tmp_path / "file").write_text("x\n-9999999999999999998\n1e17\n0.5\n")
    with pytest.raises(FileRefused, match="x: row 1 has '-9999999999999999998'"):
        Csv().read(tmp_path / "file", Reading(spec, LIMITS, {}))
