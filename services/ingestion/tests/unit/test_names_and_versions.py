from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import Manifest, ManifestFile
from capstan_ingestion.domain.files import PARTITION_PATTERN, Form, filename_of, form_of, is_filename
from capstan_ingestion.domain.keys import may_share_keys
from capstan_ingestion.domain.versions import (
    dvc_file,
    earlier_columns,
    identity,
    path_in_dataset,
    version_of,
)


@pytest.mark.parametrize(
    ("content_type", "filename", "media"),
    [
        ("application/vnd.apache.parquet", None, "parquet"),
        ("text/csv; charset=utf-8", "x.parquet", "csv"),
        ("application/octet-stream", "A.PARQUET", "parquet"),
        ("", "a.csv", "csv"),
        ("", "a.pq", "parquet"),
        ("application/json", "a.json", None),
        ("application/x-ndjson", None, "jsonlines"),
        ("", "A.JSONL.GZ", "jsonlines+gzip"),
        ("application/gzip", "a.csv", "csv+gzip"),
        ("", "folder.tar", "tar"),
        ("", "folder.tgz", "tar+gzip"),
        ("", "folder.tar.gz", "tar+gzip"),
        ("", "a.feather", "arrow"),
        ("", "a.gz", None),
        ("", None, None),
        ("", "parquetx", None),
    ],
)
def test_content_type_or_file_name_tell_the_format(content_type: str, filename: str | None, media: str | None) -> None:
    form = form_of(filename, content_type=content_type)
    assert (None if form is None else str(form)) == media


def test_a_named_medium_and_an_encoded_body_are_what_they_say() -> None:
    form = form_of("a.parquet", medium="csv", encoding="gzip")
    assert form == Form("csv", gzip=True) == Form.parse("csv+gzip")


@pytest.mark.parametrize(
    "text", ["../x.csv", "a/b.csv", "a\\b.csv", "", "..", ".", "a\0.csv", "a\nb.csv", "x" * 256, "\x7f"]
)
def test_what_is_no_plain_file_name(text: str) -> None:
    assert not is_filename(text)


def test_the_last_part_of_an_address_is_a_name_or_nothing() -> None:
    assert filename_of("https://example.org/a/b.csv?x=/y.parquet") == "b.csv"
    assert filename_of("https://example.org/a/%2e%2e%2fb.csv") == "b.csv"
    assert filename_of("https://example.org/a/b%5Cc.csv") is None
    assert filename_of("https://example.org") is None


@given(st.text(max_size=80))
def test_a_partition_is_one_plain_folder_entry(text: str) -> None:
    if re.fullmatch(PARTITION_PATTERN, text):
        path = path_in_dataset(text)
        assert "/" not in path and "\\" not in path and not path.startswith(".") and len(path) <= 71


def file(partition: str, **changes: Any) -> ManifestFile:
    base = {"batch": "a" * 64, "md5": "c" * 32, "sha256": "b" * 64, "bytes": 3, "rows": 2, "source": "x.csv"}
    return ManifestFile(**{"partition": partition, "path": f"{partition}.parquet", **base, **changes})


def manifest(*files: ManifestFile) -> Manifest:
    return Manifest(
        dataset="trips",
        version="d" * 64,
        sequence=1,
        keys=["id"],
        event_time="at",
        columns={"id": "int64"},
        files=list(files),
        rows=4,
        dvc_md5="e" * 32 + ".dir",
        created_at=datetime(2013, 1, 1, tzinfo=UTC),
    )


SPEC = DatasetSpec(name="trips", contract={}, keys=["id"], event_time="at")


def test_files_of_other_times_cannot_share_a_key_that_has_the_time_in_it(
    make_dataset: Callable[..., DatasetSpec],
) -> None:
    day = [datetime(2013, 1, number, tzinfo=UTC) for number in range(1, 8)]
    files = [file(str(number), event_time_min=day[number], event_time_max=day[number + 1]) for number in (0, 2)]
    files.append(file("no time"))
    by_time = make_dataset(keys=["id", "at"])

    def near(spec: DatasetSpec, first: int, last: int) -> list[str]:
        return [each.partition for each in may_share_keys(spec, day[first], day[last], files)]

    assert near(by_time, 5, 6) == ["no time"]
    assert near(by_time, 3, 6) == ["2", "no time"]
    assert near(by_time, 0, 6) == ["0", "2", "no time"]
    assert near(make_dataset(), 5, 6) == ["0", "2", "no time"]
    assert [each.partition for each in may_share_keys(by_time, None, None, files)] == ["0", "2", "no time"]


def test_a_version_is_its_content_and_not_where_that_came_from() -> None:
    columns = {"id": "int64"}
    first = version_of(identity(SPEC, columns, [file("a")]))
    assert first == version_of(identity(SPEC, columns, [file("a", source="y.csv", batch="f" * 64)]))
    assert first != version_of(identity(SPEC, columns, [file("a", sha256="f" * 64)]))
    assert first != version_of(identity(SPEC, {"id": "string"}, [file("a")]))
    assert first != version_of(identity(SPEC, columns, [file("a"), file("b")]))


def test_only_files_that_stay_bind_the_schema() -> None:
    assert earlier_columns(None, "a") == {}
    assert earlier_columns(manifest(file("a")), "a") == {}
    assert earlier_columns(manifest(file("a"), file("b")), "a") == {"id": "int64"}


def test_the_dvc_file_is_what_dvc_writes() -> None:
    (out,) = yaml.safe_load(dvc_file(manifest(file("a"), file("b"))))["outs"]
    assert out == {"md5": "e" * 32 + ".dir", "size": 6, "nfiles": 2, "hash": "md5", "path": "trips"}
