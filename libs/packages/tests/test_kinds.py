"""A kind of package that a third party installs is written and read like ours; it may be built on other packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from capstan_contracts.kinds.family import Family
from capstan_packages.draft import NOTHING_PINNED
from capstan_packages.errors import PackageError
from capstan_packages.fields import Metrics, Requirement
from capstan_packages.header import Header
from capstan_packages.kinds.port import KINDS, PackageKind
from capstan_packages.models import read_model
from capstan_packages.reader import read_header, read_package
from capstan_packages.signature import Signature
from capstan_packages.writer import write_package
from capstan_testkit.distributions import install_distribution
from capstan_testkit.packages import build_content
from capstan_testkit.suites.package_kinds import PackageKindBehaviour

BASE = Requirement("base", "model", "ab" * 32)
SOURCE = """
from dataclasses import dataclass
from typing import Any
from capstan_formats.strict_json import need
from capstan_packages.header import Header, common_fields

@dataclass(frozen=True, slots=True, kw_only=True)
class PatchHeader(Header):
    kind: str = "patch"
    rank: int
    def to_json(self):
        return Header.to_json(self) | {"rank": self.rank}

class Patch:
    name, member_bytes, total_bytes, baseline = "patch", 1000, 30000, False
    def read(self, source):
        return PatchHeader(**common_fields(source), rank=need(source, "rank", int))

KIND = Patch()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a package of the foreign kind: no baseline, no inputs, and a model that it changes."""
    entries = {"capstan.package_kinds": {"patch": "capstan_test_patch:KIND", "broken": "capstan_test_nowhere:KIND"}}
    modules = {"capstan_test_patch": SOURCE}
    install_distribution(tmp_path, monkeypatch, name="patches", modules=modules, entry_points=entries)
    kinds = Family[PackageKind]("capstan.package_kinds")  # the process has looked around before this was installed
    monkeypatch.setattr("capstan_packages.reader.KINDS", kinds)
    made = tmp_path / "patch"
    made.mkdir()
    header = Header(
        kind="patch", engine="patcher", task="patch", name="mine", signature=Signature((), ()), license="MIT",
        pins=NOTHING_PINNED, metrics=Metrics({}, {}), members=("delta.bin",), baseline=False, requires=(BASE,),
    )  # fmt: skip
    (made / "model.json").write_bytes(header.to_bytes()[:-1] + b',"rank":8}')
    (made / "delta.bin").write_bytes(b"delta")
    return made


class TestModel(PackageKindBehaviour):
    @pytest.fixture
    def kind(self) -> PackageKind:
        return KINDS.get("model")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return build_content(tmp_path)


class TestForeign(PackageKindBehaviour):
    @pytest.fixture
    def kind(self, folder: Path) -> PackageKind:
        return Family[PackageKind]("capstan.package_kinds").get("patch")


def test_it_is_packed_and_read_with_its_own_fields(folder: Path, tmp_path: Path) -> None:
    write_package(folder, tmp_path / "patch.tar")
    package = read_package(tmp_path / "patch.tar")
    assert package.header.to_json()["rank"] == 8 and package.header.requires == (BASE,)
    assert package.baseline is None and package.read("delta.bin") == b"delta"
    assert read_header(tmp_path / "patch.tar") == package.header
    with pytest.raises(PackageError, match="a package of kind 'model' is needed, not 'patch'"):
        read_model(tmp_path / "patch.tar")


def test_its_own_limits_hold(folder: Path, tmp_path: Path) -> None:
    (folder / "delta.bin").write_bytes(b"d" * 1001)
    with pytest.raises(PackageError, match=r"delta.bin: larger than 1000 bytes \[size\]"):
        write_package(folder, tmp_path / "patch.tar")


def test_its_own_rules_are_named_like_ours(folder: Path, tmp_path: Path) -> None:
    header = (folder / "model.json").read_bytes().replace(b'"rank":8', b'"rank":"high"')
    (folder / "model.json").write_bytes(header)
    with pytest.raises(PackageError, match=r"model.json: rank must be int, not str \[header\]"):
        write_package(folder, tmp_path / "patch.tar")


def test_one_that_cannot_be_imported_is_named(folder: Path, tmp_path: Path) -> None:
    header = (folder / "model.json").read_bytes().replace(b'"kind":"patch"', b'"kind":"broken"')
    (folder / "model.json").write_bytes(header)
    with pytest.raises(PackageError, match="the kind 'broken' cannot be used"):
        write_package(folder, tmp_path / "patch.tar")


def test_our_kinds_say_what_the_port_asks_for() -> None:
    assert KINDS.broken() == []
    for name in KINDS:
        kind = KINDS.get(name)
        assert kind.name == name and 0 < kind.member_bytes <= kind.total_bytes
