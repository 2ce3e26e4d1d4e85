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

from capstan_packages.errors import PackageError
from capstan_packages.models import read_model
from capstan_packages.reader import read_header, read_package
from capstan_packages.writer import read_folder, write_package

FILES = ("model.json", "baseline.json", "model.txt")


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
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[bytes], tuple[str, str]]:
    """Place and rule by which the reader refuses an archive; the header alone is refused for the same structure."""

    def ask(data: bytes) -> tuple[str, str]:
        path = tmp_path / "package"
        path.write_bytes(data)
        with pytest.raises(PackageError) as caught:
            read_package(path)
        return caught.value.place, caught.value.rule

    return ask


Refused = Callable[[bytes], tuple[str, str]]


def test_round_trip_and_digest_of_the_file(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.tar"
    digest = write_package(folder, target)
    package = read_model(target)
    assert digest == package.digest == hashlib.sha256(target.read_bytes()).hexdigest()
    assert package.header.name == "delay" and read_header(target) == package.header
    assert package.read("model.txt") == (folder / "model.txt").read_bytes()
    assert b"".join(package.member("model.txt").chunks()) == (folder / "model.txt").read_bytes()
    assert package.baseline is not None and package.baseline["distance"].total == 3
    assert read_folder(folder).header == package.header
    assert list(tmp_path.glob(".*partial")) == []


def test_same_content_same_digest_whatever_the_files_say_of_themselves(folder: Path, tmp_path: Path) -> None:
    first = write_package(folder, tmp_path / "a.tar")
    os.utime(folder / "model.txt", (1, 1))
    (folder / "model.json").chmod(0o600)
    assert write_package(folder, tmp_path / "b.tar") == first


def test_plain_tar_tools_read_it_and_find_the_header_first(folder: Path, tmp_path: Path) -> None:
    write_package(folder, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert tar.getnames() == list(FILES)
        assert {(m.mtime, m.uid, m.gid, m.mode) for m in tar} == {(0, 0, 0, 0o644)}
    assert (tmp_path / "a.tar").read_bytes() == tar_of(files_of(folder))


@pytest.mark.parametrize("name", ["../model.json", "/model.json", "a/../../model.json", "c:model.json", "..\\x"])
def test_path_tricks(folder: Path, refused: Refused, name: str) -> None:
    assert refused(tar_of({**files_of(folder), name: b"x"})) == (name, "path")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_only_regular_files(folder: Path, refused: Refused, kind: bytes) -> None:
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
def test_extra_files(folder: Path, tmp_path: Path, refused: Refused, name: str, content: bytes, rule: str) -> None:
    assert refused(tar_of({**files_of(folder), name: content})) == (name, rule)
    if "/" not in name:
        (folder / name).write_bytes(content)
        with pytest.raises(PackageError, match=rule):
            write_package(folder, tmp_path / "a.tar")
        assert not (tmp_path / "a.tar").exists()


def test_a_pickle_under_an_allowed_name(folder: Path, tmp_path: Path, refused: Refused) -> None:
    assert refused(tar_of({**files_of(folder), "model.txt": pickle.dumps([1])})) == ("model.txt", "no-pickle")
    (folder / "model.txt").write_bytes(pickle.dumps([1]))
    with pytest.raises(PackageError, match="no-pickle"):
        write_package(folder, tmp_path / "a.tar")


@pytest.mark.parametrize("suffix", [".pkl", ".joblib", ".pt", ".npy"])
def test_a_pickle_that_the_header_lists(folder: Path, tmp_path: Path, refused: Refused, suffix: str) -> None:
    header = files_of(folder)["model.json"].replace(b"model.txt", b"model" + suffix.encode())
    assert refused(tar_of({**files_of(folder), "model.json": header, "model" + suffix: b"x"}))[1] == "no-pickle"


def test_missing_and_repeated_files(folder: Path, tmp_path: Path, refused: Refused) -> None:
    files = files_of(folder)
    assert refused(tar_of({"baseline.json": files["baseline.json"]})) == ("model.json", "missing-file")
    one, two = tar_of({"model.json": files["model.json"]}), tar_of(files)
    assert refused(one) == ("baseline.json", "missing-file")
    header_and_content = 512 + -(-len(files["model.json"]) // 512) * 512
    assert refused(one[:header_and_content] + two) == ("model.json", "duplicate")
    for name in ("baseline.json", "model.txt", "model.json"):
        (folder / name).unlink()
        with pytest.raises(PackageError, match=rf"{name}: .*missing-file"):
            write_package(folder, tmp_path / "a.tar")
        assert not (tmp_path / "a.tar").exists()
        (folder / name).write_bytes(files[name])


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 10240, b"PK\x03\x04" + b"\0" * 600, b"\x1f\x8b" + b"z" * 2000])
def test_not_a_tar(refused: Refused, data: bytes) -> None:
    assert refused(data) == ("package", "tar")


def test_other_forms_of_the_same_content(folder: Path, tmp_path: Path, refused: Refused) -> None:
    files = files_of(folder)
    good = tar_of(files, lambda info: setattr(info, "mode", 0o644))
    (tmp_path / "good").write_bytes(good)
    assert read_package(tmp_path / "good").header.name == "delay"
    padded = 512 + -(-len(files["model.json"]) // 512) * 512 - 1
    others = [
        tar_of(files, lambda info: setattr(info, "mtime", 5)),
        tar_of(dict(reversed(files.items()))),
        tar_of(dict(sorted(files.items()))),
        tar_of(files, lambda info: setattr(info, "uname", "root")),
        good + b"\0" * 512,
        good[:-512],
        good[:-1] + b"x",
        good[:padded] + b"x" + good[padded + 1 :],
    ]
    assert {refused(data) for data in others} == {("package", "canonical")}


def test_cut_short(folder: Path, refused: Refused) -> None:
    data = tar_of(files_of(folder))
    assert refused(data[: data.index(b"Tree=0")]) == ("model.txt", "truncated")


def test_a_size_that_is_not_there_or_too_large(folder: Path, refused: Refused) -> None:
    data = bytearray(tar_of(files_of(folder)))
    data[124:136] = b"77777777777\0"
    assert refused(bytes(data)) == ("model.json", "truncated")
    data[124:136] = b"\x80" + b"\xff" * 11
    assert refused(bytes(data)) == ("model.json", "tar")


@pytest.mark.parametrize(("name", "size"), [("model.json", 8 * 1024**2 + 1), ("baseline.json", 64 * 1024**2 + 1)])
def test_a_member_beyond_its_limit_is_refused_by_its_declared_size(
    folder: Path, tmp_path: Path, name: str, size: int
) -> None:
    """A file of holes: so many bytes are announced and there, and none of them is read."""
    files = {key: value for key, value in files_of(folder).items() if key != name}
    header = tarfile.TarInfo(name)
    header.size = size
    before, after = ({}, files) if name == "model.json" else ({"model.json": files.pop("model.json")}, files)
    path = tmp_path / "package"
    with path.open("wb") as file:
        file.write(_without_end(before))
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        file.seek(-(-size // 512) * 512, os.SEEK_CUR)
        file.write(tar_of(after))
    with pytest.raises(PackageError) as refused:
        read_package(path)
    assert (refused.value.place, refused.value.rule) == (name, "size")


def _without_end(files: dict[str, bytes]) -> bytes:
    length = sum(512 + -(-len(content) // 512) * 512 for content in files.values())
    return tar_of(files)[:length]


def test_more_files_than_a_package_has_are_not_walked(refused: Refused) -> None:
    assert refused(tar_of({f"f{number}": b"" for number in range(1200)})) == ("package", "size")


def test_pax_headers(refused: Refused) -> None:
    data = tar_of({"é" * 60 + "model.json": b"x"}, format=tarfile.PAX_FORMAT)
    place, rule = refused(data)
    assert rule == "regular-file"
    assert "PaxHeader" in place


@pytest.mark.parametrize(
    "bad", [b'{"a": NaN}', b"[1]", b"{", b'{"a":1,"a":2}', b"\xff", b"[" * 100_000, b'{"a":1e999}']
)
def test_bad_json(folder: Path, refused: Refused, bad: bytes) -> None:
    assert refused(tar_of({**files_of(folder), "model.json": bad})) == ("model.json", "header")
    assert refused(tar_of({**files_of(folder), "baseline.json": bad})) == ("baseline.json", "baseline")


def test_an_archive_of_the_earlier_form_says_to_train_again(folder: Path, tmp_path: Path) -> None:
    files = files_of(folder) | {"model.json": b'{"format":"capstan.model/1","kind":"model","licence":"CC0-1.0"}'}
    (tmp_path / "old.tar").write_bytes(tar_of(dict(sorted(files.items()))))
    for read in (read_package, read_header):
        with pytest.raises(PackageError, match="earlier form 'capstan.model/1', .* train the model again"):
            read(tmp_path / "old.tar")


def test_a_model_has_a_baseline(folder: Path, refused: Refused) -> None:
    files = files_of(folder)
    del files["baseline.json"]
    files["model.json"] = files["model.json"].replace(b'"baseline":true', b'"baseline":false')
    assert refused(tar_of(files)) == ("model.json", "header")


def test_a_member_that_changed_after_the_check(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.tar"
    write_package(folder, target)
    package = read_package(target)
    target.write_bytes(target.read_bytes().replace(b"leaf_value=-1.0 1.0", b"leaf_value=-9.0 9.0"))
    for read in (lambda: package.read("model.txt"), lambda: list(package.member("model.txt").chunks())):
        with pytest.raises(PackageError, match="not those that were checked"):
            read()
    with pytest.raises(PackageError, match="no such member; there are: model.json, baseline.json, model.txt"):
        package.read("model.onnx")
    with pytest.raises(PackageError, match="larger than 5 bytes"):
        package.read("model.txt", 5)


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
    for read in (read_package, read_header):
        with pytest.raises(PackageError, match="regular-file"):
            read(tmp_path)
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "absent.tar")
