"""What every kind of package must do: be written to one form, read back as it was, and hold its limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capstan_packages.errors import PackageError
from capstan_packages.kinds.port import PackageKind
from capstan_packages.reader import read_header, read_package
from capstan_packages.writer import write_package


class PackageKindBehaviour:
    """Inherit, and give the fixtures `kind` (a PackageKind) and `folder` (the files of a package of it, to be changed).

    The kind has to be among those that `read_package` finds.
    """

    def test_its_limits_are_limits(self, kind: PackageKind) -> None:
        assert 0 < kind.member_bytes <= kind.total_bytes

    def test_a_header_comes_back_as_it_was_written(self, kind: PackageKind, folder: Path) -> None:
        source = json.loads((folder / "model.json").read_bytes())
        header = kind.read(source)
        assert header.kind == kind.name and header.to_json() == source
        assert kind.read({**source, "a_member_of_tomorrow": 1}) == header

    def test_a_package_is_the_same_file_each_time(self, kind: PackageKind, folder: Path, tmp_path: Path) -> None:
        first, second = [write_package(folder, tmp_path / name) for name in ("first.tar", "second.tar")]
        assert first == second
        package = read_package(tmp_path / "first.tar")
        assert package.header == read_header(tmp_path / "first.tar") and package.header.kind == kind.name
        assert (package.baseline is not None) >= kind.baseline
        for member in package.header.members:
            assert package.read(member) == (folder / member).read_bytes()

    def test_a_header_that_is_none_is_refused_at_its_place(self, folder: Path, tmp_path: Path) -> None:
        source = json.loads((folder / "model.json").read_bytes())
        for name in ("engine", "task", "members"):
            lacking = {key: value for key, value in source.items() if key != name}
            (folder / "model.json").write_text(json.dumps(lacking))
            with pytest.raises(PackageError) as refused:
                write_package(folder, tmp_path / "never.tar")
            assert refused.value.place == "model.json" and name in str(refused.value)
