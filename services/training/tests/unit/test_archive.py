"""Recipe archives: what may be inside, and what is refused with place and rule."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from capstan_servicekit.jobs.api import JobRefused
from capstan_training.domain.archive import ArchiveError, Caps, members, safe_path
from capstan_training.jobs.compile_recipe import find_pipelines, unpack

Tar = Callable[[dict[str, bytes | tarfile.TarInfo]], bytes]


def refused(content: bytes, caps: Caps | None = None) -> tuple[str, str]:
    with pytest.raises(ArchiveError) as caught:
        list(members(io.BytesIO(content), caps))
    return caught.value.place, caught.value.rule


def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_files_come_with_their_plain_paths(tar: Tar) -> None:
    content = tar({"./a/b.py": b"1", "a": entry("a", tarfile.DIRTYPE), "c.txt": b""})
    assert {str(path): data for path, data in members(io.BytesIO(content))} == {"a/b.py": b"1", "c.txt": b""}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_devices_and_pipes(tar: Tar, kind: bytes) -> None:
    place, rule = refused(tar({"ok.py": b"", "x": entry("x", kind, "/etc/passwd")}))
    assert (place, rule.startswith("only files and folders")) == ("x", True)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\..\\x", "c:x", "..", "a/.."])
def test_paths_that_lead_elsewhere(tar: Tar, name: str) -> None:
    assert "'..'" in refused(tar({name: b"x"}))[1]


@pytest.mark.parametrize("name", ["a\nb", "a\x00b", "a\x1b[31m", "a" * 201, "/".join("a" * 14)])
def test_names_that_cannot_be_shown_or_are_too_long(name: str) -> None:
    with pytest.raises(ArchiveError):
        safe_path(name)


def test_the_same_path_twice_and_a_file_below_a_file(tar: Tar) -> None:
    assert refused(tar({"a": b"1", "./a": b"2"}))[0] == "a"
    assert refused(tar({"a": b"1", "a/b": b"2"}))[0] == "a/b"
    assert refused(tar({"a/b": b"1", "a": b"2"}))[0] == "a"


def test_a_bomb_is_not_unpacked_further_than_the_cap(tar: Tar) -> None:
    bomb = tar({"zeros": bytes(80 << 20)})
    assert len(bomb) < 1 << 20
    assert refused(bomb) == ("archive", f"at most {64 << 20} bytes when unpacked")
    assert refused(gzip.compress(bytes(80 << 20), mtime=0))[0] == "archive"


def test_a_header_that_promises_more_than_there_is() -> None:
    info = tarfile.TarInfo("big")
    info.size = 1 << 60
    assert refused(gzip.compress(info.tobuf() + b"x" * 512, mtime=0))[0] == "archive"


def test_too_many_entries(tar: Tar) -> None:
    files: dict[str, bytes | tarfile.TarInfo] = {f"{index}": b"" for index in range(11)}
    assert refused(tar(files), Caps(entries=10)) == ("archive", "at most 10 entries")


def test_what_is_no_whole_archive(tar: Tar) -> None:
    whole = tar({"a": b"x" * 5000})
    for content in (
        b"",
        b"PK\x03\x04",
        whole[: len(whole) // 2],
        gzip.compress(b"no tar at all" * 100, mtime=0),
        gzip.compress(b"", mtime=0),
    ):
        assert refused(content)[0] == "archive"


def test_unpacking_writes_only_below_its_folder(tar: Tar, tmp_path: Path) -> None:
    archive = tmp_path / "r.tar.gz"
    archive.write_bytes(tar({"a/b.py": b"1"}))
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out" / "a" / "b.py").read_bytes() == b"1"
    archive.write_bytes(tar({"a": entry("a", tarfile.SYMTYPE, str(tmp_path)), "a/evil": b"1"}))
    with pytest.raises(JobRefused):
        unpack(archive, tmp_path / "two")
    assert not (tmp_path / "evil").exists()


def test_pipelines_are_found_without_running_anything(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "pipeline.py").write_text(
        "from kfp import dsl\nraise SystemExit\n"
        "@dsl.pipeline(name='a')\ndef one(): ...\n@dsl.pipeline\ndef two(): ...\n"
        "@dsl.component\ndef step(): ...\n"
    )
    (tmp_path / "sub" / "more.py").write_text("from kfp.dsl import pipeline\n@pipeline(name='b')\ndef three(): ...\n")
    (tmp_path / "prepare.py").write_text("raise SystemExit('never imported')")
    (tmp_path / "broken.py").write_text("import kfp\n@dsl.pipeline\ndef f(:\n")
    found, errors = find_pipelines(tmp_path)
    assert found == {"pipeline.py": ["one", "two"], "sub/more.py": ["three"]}
    assert list(errors) == ["broken.py"]
