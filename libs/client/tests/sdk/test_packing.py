"""The archive of a recipe: the same files give the same bytes; secrets, data and links stay at home."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from capstan_client.sdk import packing
from capstan_client.sdk.packing import pack
from capstan_servicekit.errors import InvalidSpec


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "recipe"
    (folder / "features").mkdir(parents=True)
    (folder / "loop.yaml").write_text("kind: Loop\n")
    (folder / "pipeline.py").write_text("def train(): ...\n")
    (folder / "features" / "view.sql").write_text("SELECT 1\n")
    return folder


def names(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getnames()


def test_files_are_packed_by_name(recipe: Path) -> None:
    archive = pack(recipe)
    assert names(archive) == ["features/view.sql", "loop.yaml", "pipeline.py"]
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile("features/view.sql")
        assert member is not None and member.read() == b"SELECT 1\n"


def test_the_bytes_depend_on_names_and_contents_alone(recipe: Path, tmp_path: Path) -> None:
    first = pack(recipe)
    os.utime(recipe / "loop.yaml", (1, 1))
    (recipe / "pipeline.py").chmod(0o700)
    moved = recipe.rename(tmp_path / "elsewhere")
    assert pack(moved) == first
    (moved / "pipeline.py").write_text("def train(): pass\n")
    assert pack(moved) != first


@pytest.mark.parametrize(
    "left_out",
    [
        ".env", ".git/config", ".venv/pyvenv.cfg", "data/flights.parquet", "demo/story.py", "tests/test_it.py",
        "__pycache__/a.pyc", "steps/old.pyc", "features/.view.sql.swp", ".DS_Store",
    ],
)  # fmt: skip
def test_what_is_no_code_stays_at_home(recipe: Path, left_out: str) -> None:
    before = pack(recipe)
    (recipe / left_out).parent.mkdir(parents=True, exist_ok=True)
    (recipe / left_out).write_text("secret")
    assert pack(recipe) == before


def test_a_link_is_refused_and_not_followed(recipe: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_text("password")
    (recipe / "notes.txt").symlink_to(outside)
    with pytest.raises(InvalidSpec, match=r"notes\.txt is a symbolic link, which is not packed") as said:
        pack(recipe)
    assert said.value.errors[0].place == "notes.txt" and "data/" in said.value.hint


def test_a_linked_folder_is_refused_and_not_walked(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "secret").write_text("password")
    (recipe / "more").symlink_to(tmp_path / "more")
    with pytest.raises(InvalidSpec, match="more is a symbolic link"):
        pack(recipe)


def test_a_link_to_itself_ends(recipe: Path) -> None:
    (recipe / "data").mkdir()
    (recipe / "data" / "again").symlink_to(recipe)
    assert len(names(pack(recipe))) == 3


def test_a_large_file_is_refused_by_name_without_being_read(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (recipe / "flights.parquet").open("wb") as file:
        file.truncate(packing.MAX_UNPACKED + 1)  # a hole: it has the size and no blocks

    def read(path: Path) -> bytes:
        assert path.name != "flights.parquet"
        return b""

    monkeypatch.setattr(Path, "read_bytes", read)
    with pytest.raises(InvalidSpec, match=r"with flights\.parquet the recipe folder holds more than 64 MB") as said:
        pack(recipe)
    assert "data/" in said.value.hint


def test_what_does_not_compress_is_refused_by_its_packed_size(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_ARCHIVE", 1 << 20)
    (recipe / "noise.bin").write_bytes(os.urandom(3 << 19))
    with pytest.raises(InvalidSpec, match="larger than 1 MB packed"):
        pack(recipe)


def test_a_name_beyond_ascii_comes_through(recipe: Path) -> None:
    (recipe / "größe.sql").write_text("SELECT 1")
    assert "größe.sql" in names(pack(recipe))
