"""A dataset's spec: one error for each mistake, with the place, the wrong word and what to write."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from capstan_contracts.kinds.columns import plain_name
from capstan_contracts.loop import DatasetSpec


def spec(**changes: Any) -> DatasetSpec:
    return DatasetSpec.model_validate({"name": "d", "contract": {}, "keys": ["id"], "eventTime": "at", **changes})


def only_error(**changes: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as raised:
        spec(**changes)
    (error,) = raised.value.errors()
    return ".".join(map(str, error["loc"])), error["msg"]


def test_short_and_long_spellings_are_the_same() -> None:
    assert spec(source="upload", modality="table") == spec(source={"kind": "upload"}, modality={"kind": "table"})
    assert spec(media="csv") == spec(media=[{"kind": "csv"}]) == spec(media={"kind": "csv", "delimiter": ","})
    made = spec(media=["parquet", {"kind": "csv", "timeFormat": "%d.%m.%Y"}])
    assert DatasetSpec.model_validate(made.model_dump(mode="json", by_alias=True)) == made
    assert DatasetSpec.model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"source": "uplod"}, "source.kind", "no kind of source is called 'uplod'; did you mean 'upload'?"),
        ({"source": {"kind": "upload", "url": "x"}}, "source.url", "'url' is no field of a source of kind 'upload'"),
        ({"source": {"kind": "http", "url": "https://x"}}, "source.kind", "use POST /datasets/{dataset}/pulls"),
        ({"modality": "tables"}, "modality.kind", "did you mean 'table'?"),
        ({"media": {"kind": "cvs"}}, "media.0.kind", "no kind of medium is called 'cvs'; did you mean 'csv'?"),
        ({"media": {"delimiter": ";"}}, "media.0.kind", "names its `kind`; there are: arrow, csv, jsonlines, parquet"),
        ({"media": {"kind": "csv", "delimeter": ";"}}, "media.0.delimeter", "did you mean 'delimiter'?"),
        ({"media": [7]}, "media.0", "a medium is a mapping of fields"),
        ({"media": {"kind": "csv", "delimiter": "::"}}, "media.0.delimiter", "at most 1"),
        ({"media": {"kind": "csv", "delimiter": '"'}}, "media.0", "the delimiter '\"'"),
        ({"media": {"kind": "csv", "decimal": ",", "thousands": ","}}, "media.0", "have to differ"),
        ({"media": {"kind": "csv", "zone": "Mars/Olympus"}}, "media.0.zone", "no time zone of the IANA database"),
        ({"media": {"kind": "csv", "encoding": "utf8000"}}, "media.0.encoding", "no text encoding"),
        (
            {"media": {"kind": "parquet", "delimiter": ";"}},
            "media.0.delimiter",
            "no field of a medium of kind 'parquet'",
        ),
        ({"media": ["csv", "csv"]}, "media", "each medium is set once; twice: csv"),
        ({"columns": {"zip": "text"}}, "columns.zip", "'text' is no type of a column"),
        ({"columns": {"zip": "strng"}}, "columns.zip", "did you mean 'string'?"),
        ({"columns": {"x": "decimal(39,2)"}}, "columns.x", "1 to 38 digits"),
        ({"columns": {"at": "string"}}, "", "'at' is a clock, so its type is timestamp"),
        ({"keys": ["Flight No."]}, "keys.0", "rename: {'Flight No.': flight_no}"),
        ({"rename": {"a": "größe"}}, "rename.a", "rename the column in the dataset"),
        ({"rename": {"a": "x", "b": "x"}}, "", "two columns would be called 'x'"),
        ({"rename": {"a": "x"}, "ignore": ["a"]}, "", "in rename and in ignore"),
        ({"ignore": ["id"]}, "", "'id' is ignored, and the dataset itself reads it"),
    ],
)
def test_a_mistake_is_one_error(changes: dict[str, Any], place: str, said: str) -> None:
    found = only_error(**changes)
    assert found[0] == place and said in found[1], found


def test_a_name_for_a_column_is_proposed() -> None:
    assert [plain_name(name) for name in ("Delay (min)", "2nd", "größe", "列")] == [
        "delay_min",
        "column_2nd",
        "gr_e",
        "column",
    ]
