"""What an upload sends."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from capstan_client.sdk.batch_file import batch_file, partition_of
from capstan_servicekit.errors import InvalidData


def test_a_file_goes_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "2013-01.csv.gz"
    file.write_bytes(b"bytes")
    assert batch_file(file) == (b"bytes", "2013-01.csv.gz")
    assert partition_of(file) == "2013-01"


def test_the_same_folder_is_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        folder = tmp_path / name / "2013-01.parquet"
        (folder / "inner").mkdir(parents=True)
        for part in ("part-1.parquet", "inner/part-0.parquet", "_SUCCESS"):
            (folder / part).write_bytes(part.encode())
        (folder / "link").symlink_to(folder / "part-1.parquet")
        content, filename = batch_file(folder)
        assert filename == "2013-01.parquet.tar" and partition_of(folder) == "2013-01"
        contents.append(content)
    assert contents[0] == contents[1]
    with tarfile.open(fileobj=io.BytesIO(contents[0])) as tar:
        assert tar.getnames() == ["_SUCCESS", "inner/part-0.parquet", "part-1.parquet"]


def test_an_empty_folder_is_no_batch(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="holds no file"):
        batch_file(tmp_path)
