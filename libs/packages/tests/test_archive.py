"""A package has one form and one digest; whatever else arrives is refused with place and rule."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from capstan_formats.package import MEMBERS, PackageError, parse_package, read_package, write_package


def tar_of(files: dict[str, bytes], change: Callable[[tarfile.TarInfo], None] | None = None, **options: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=options.get("format", tarfile.USTAR_FORMAT)) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change:
                change(info)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def files_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in sorted(MEMBERS)}


def refused(data: bytes) -> tuple[str, str]:
    with pytest.raises(PackageError) as caught:
        parse_package(data)
    return caught.value.place, caught.value.rule


def test_round_trip_and_digest_of_the_file(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.tar"
    digest = write_package(folder, target)
    package = read_package(target)
    assert digest == package.digest == hashlib.sha256(target.read_bytes()).hexdigest()
    assert package.manifest.name == "flight-delay"
    assert package.booster_bytes == (folder / "model.txt").read_bytes()
    assert package.baseline["distance"].total == 3
    assert list(tmp_path.glob(".*partial")) == []


def test_same_content_same_digest_whatever_the_files_say_of_themselves(folder: Path, tmp_path: Path) -> None:
    first = write_package(folder, tmp_path / "a.tar")
    os.utime(folder / "model.txt", (1, 1))
    (folder / "model.json").chmod(0o600)
    assert write_package(folder, tmp_path / "b.tar") == first


def test_plain_tar_tools_read_it(folder: Path, tmp_path: Path) -> None:
    write_package(folder, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.getnames() == sorted(MEMBERS)
        assert {(m.mtime, m.uid, m.gid, m.mode) for m in tar} == {(0, 0, 0, 0o644)}


@pytest.mark.parametrize("name", ["../model.json", "/model.json", "a/../../model.json", "c:model.json", "..\\x"])
def test_path_tricks(folder: Path, name: str) -> None:
    assert refused(tar_of({**files_of(folder), name: b"x"})) == (name, "path")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_only_regular_files(folder: Path, kind: bytes) -> None:
    def make_link(info: tarfile.TarInfo) -> None:
        if info.name == "model.txt":
            info.type, info.linkname, info.size = kind, "/etc/passwd", 0

    place, rule = refused(tar_of(files_of(folder), make_link))
    assert (place.rstrip("/"), rule) == ("model.txt", "regular-file")


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("model.pkl", b"x", "no-pickle"),
        ("MODEL.JOBLIB", b"x", "no-pickle"),
        ("notes.txt", pickle.dumps({"a": 1}), "no-pickle"),
        ("weights.bin", b"PK\x03\x04rest", "no-pickle"),
        ("notes.txt", b"hello", "unknown-file"),
        ("sub/model.json", b"{}", "unknown-file"),
    ],
)
def test_extra_files(folder: Path, tmp_path: Path, name: str, content: bytes, rule: str) -> None:
    assert refused(tar_of({**files_of(folder), name: content})) == (name, rule)
    if "/" not in name:
        (folder / name).write_bytes(content)
        with pytest.raises(PackageError, match=rule):
            write_package(folder, tmp_path / "a.tar")
        assert not (tmp_path / "a.tar").exists()


def test_a_pickle_under_an_allowed_name(folder: Path) -> None:
    assert refused(tar_of({**files_of(folder), "model.txt": pickle.dumps([1])})) == ("model.txt", "no-pickle")


def test_missing_and_repeated_files(folder: Path, tmp_path: Path) -> None:
    files = files_of(folder)
    one, two = tar_of({"baseline.json": files["baseline.json"]}), tar_of(files)
    assert refused(one) == ("model.json", "missing-file")
    header_and_content = 512 + -(-len(files["baseline.json"]) // 512) * 512
    assert refused(one[:header_and_content] + two) == ("baseline.json", "duplicate")
    (folder / "baseline.json").unlink()
    with pytest.raises(PackageError, match="missing-file"):
        write_package(folder, tmp_path / "a.tar")


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 10240, b"PK\x03\x04" + b"\0" * 600, b"\x1f\x8b" + b"z" * 2000])
def test_not_a_tar(data: bytes) -> None:
    assert refused(data) == ("package", "tar")


def test_other_forms_of_the_same_content(folder: Path) -> None:
    files = files_of(folder)
    good = tar_of(files, lambda info: setattr(info, "mode", 0o644))
    assert parse_package(good).manifest.name == "flight-delay"
    others = [
        tar_of(files, lambda info: setattr(info, "mtime", 5)),
        tar_of(dict(reversed(files.items()))),
        tar_of(files, lambda info: setattr(info, "uname", "root")),
        good + b"\0" * 512,
        good[:-1] + b"x",
    ]
    assert {refused(data) for data in others} == {("package", "canonical")}


def test_cut_short(folder: Path) -> None:
    data = tar_of(files_of(folder))
    assert refused(data[: len(data) // 2]) == ("model.txt", "truncated")


def test_a_size_that_is_not_there_or_too_large(folder: Path) -> None:
    data = bytearray(tar_of(files_of(folder)))
    data[124:136] = b"77777777777\0"
    assert refused(bytes(data)) == ("baseline.json", "size")
    data[124:136] = b"\x80" + b"\xff" * 11
    assert refused(bytes(data)) == ("baseline.json", "tar")


def test_pax_headers(folder: Path) -> None:
    data = tar_of({"é" * 60 + "model.json": b"x"}, format=tarfile.PAX_FORMAT)
    place, rule = refused(data)
    assert rule == "regular-file"
    assert "PaxHeader" in place


@pytest.mark.parametrize(
    "bad", [b'{"a": NaN}', b"[1]", b"{", b'{"a":1,"a":2}', b"\xff", b"[" * 100_000, b'{"a":1e999}']
)
def test_bad_json(folder: Path, bad: bytes) -> None:
    assert refused(tar_of({**files_of(folder), "model.json": bad})) == ("model.json", "manifest")
    assert refused(tar_of({**files_of(folder), "baseline.json": bad})) == ("baseline.json", "baseline")


def test_a_model_of_another_width(folder: Path, trained: object) -> None:
    files = files_of(folder)
    files["model.json"] = files["model.json"].replace(b'{"column":"temp","name":"temp","op":"numeric"},', b"")
    files["model.json"] = files["model.json"].replace(b'{"column":"temp","op":"numeric"},', b"")
    assert refused(tar_of(files)) == ("model.txt", "signature")


def test_folder_with_links_or_pipes(folder: Path, tmp_path: Path) -> None:
    (folder / "model.txt").rename(tmp_path / "elsewhere.txt")
    (folder / "model.txt").symlink_to(tmp_path / "elsewhere.txt")
    with pytest.raises(PackageError, match="regular-file"):
        write_package(folder, tmp_path / "a.tar")
    (folder / "model.txt").unlink()
    os.mkfifo(folder / "model.txt")
    with pytest.raises(PackageError, match="regular-file"):
        write_package(folder, tmp_path / "a.tar")


def test_reading_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="regular-file"):
        read_package(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_package(tmp_path / "absent.tar")
