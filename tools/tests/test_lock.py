"""What a lock is made from: what distributions declare, through the libraries of ours that they name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import lock


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    projects = {
        "libs/base": 'dependencies = ["pydantic>=2"]\noptional-dependencies = {jobs = ["numpy>=2"]}',
        "libs/kit": 'dependencies = ["capstan-base", "fastapi>=0.1"]',
        "services/one": 'dependencies = ["capstan-kit", "duckdb"]\n'
        'optional-dependencies = {jobs = ["gx", "capstan-base"]}',
        "services/two": "dependencies = []",
    }
    for folder, text in projects.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pyproject.toml").write_text(f"[project]\n{text}\n")
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    return tmp_path


def test_libraries_of_ours_stand_for_what_they_ask_for(root: Path) -> None:
    assert lock.dependencies(["services/one"]) == ["duckdb", "fastapi>=0.1", "pydantic>=2"]


def test_an_extra_adds_its_own_and_can_stand_alone(root: Path) -> None:
    assert lock.dependencies(["services/one"], "jobs") == ["duckdb", "fastapi>=0.1", "gx", "pydantic>=2"]
    assert lock.dependencies(["services/one"], "jobs", base=False) == ["gx", "pydantic>=2"]


def test_who_has_no_such_extra_adds_nothing(root: Path) -> None:
    assert lock.dependencies(["services/two"], "jobs", base=False) == []


def test_several_are_joined_once_and_sorted(root: Path) -> None:
    assert lock.dependencies(["libs/kit", "libs/base", "services/two"]) == ["fastapi>=0.1", "pydantic>=2"]


def test_a_distribution_that_is_not_there_is_an_error(root: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lock.dependencies(["libs/nothing"])


def test_names_in_a_lock(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LOCKS", root)
    (root / "one.txt").write_text(
        "# made by us\nnumpy==2.0 ; python_version < '3.13' \\\n    --hash=sha256:ab\nduckdb==1.4\n"
    )
    assert lock.packages_of("one") == ["numpy", "duckdb"]


def uv(root: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = root / "uv"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(lock, "UV", program)
    monkeypatch.setattr(lock, "LOCKS", root)


def test_a_lock_is_resolved_for_every_system_from_the_oldest_python(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uv(root, monkeypatch, f'echo "$@" > {root}/called; cat "$3" > {root}/wanted; echo "a==1" > {root}/one.txt')
    lock.compile_lock("one", ["a>=1", "b"], "all", "--upgrade")
    called = (root / "called").read_text()
    assert "--universal --generate-hashes" in called and "--python-version 3.11" in called
    assert f"--constraints {root}/all.txt" in called and called.rstrip().endswith(f"{root}/one.txt --upgrade")
    assert (root / "wanted").read_text() == "a>=1\nb\n"
    assert capsys.readouterr().out == "locks/one.txt: 1 packages\n"


def test_what_cannot_be_resolved_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv(root, monkeypatch, "exit 1")
    with pytest.raises(SystemExit, match="lock: could not resolve one"):
        lock.compile_lock("one", ["a"], "all")


@pytest.fixture
def resolved(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[list[str], str, tuple[str, ...]]]:
    """`main` on a small checkout: name of each lock -> what was asked for, its constraints and its options."""
    groups = 'dev = ["pytest"]\ndocs = ["zensical"]\nrecipe = ["kfp"]\ntools = ["uv"]'
    (root / "pyproject.toml").write_text(f"[dependency-groups]\n{groups}\n")
    (root / "libs/testkit").mkdir()
    (root / "libs/testkit/pyproject.toml").write_text('[project]\ndependencies = ["capstan-kit", "testcontainers"]\n')
    for name, value in {
        "LOCKS": root, "LIBS": ("libs/base", "libs/kit", "libs/testkit"), "SERVICES": ("services/one", "services/two"),
        "JOB_SERVICES": ("one",), "PINNED_IN_JOBS": ("libs/base",), "IMAGE_BASE_LIBS": ("libs/kit",),
    }.items():  # fmt: skip
        monkeypatch.setattr(lock, name, value)
    made: dict[str, tuple[list[str], str, tuple[str, ...]]] = {}

    def note(name: str, requirements: list[str], constraints: str, *options: str) -> None:
        assert constraints == "constraints" or constraints in made, (
            f"{name} is held to {constraints}, which comes later"
        )
        made[name] = (list(requirements), constraints, options)
        (root / f"{name}.txt").write_text("".join(f"{one.split('>')[0]}==1\n" for one in requirements))

    monkeypatch.setattr(lock, "compile_lock", note)
    return made


Resolved = dict[str, tuple[list[str], str, tuple[str, ...]]]


def test_every_lock_is_a_part_of_the_one_that_holds_all(resolved: Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lock"])
    lock.main()
    everything = set(resolved["all"][0])
    assert everything == {"duckdb", "fastapi>=0.1", "gx", "pydantic>=2", "pytest", "testcontainers", "zensical"}
    for name in ("platform", "dev", "one", "docs", "image-base", "image-one", "image-two"):
        assert resolved[name][1] == "all" and set(resolved[name][0]) <= everything, name
    assert "testcontainers" not in resolved["platform"][0] and "testcontainers" in resolved["dev"][0]
    assert resolved["one"][0] == ["gx", "pydantic>=2"]
    assert "--upgrade" not in resolved["all"][2]


def test_an_image_adds_only_what_the_shared_layer_lacks(resolved: Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lock"])
    lock.main()
    assert resolved["image-base"][0] == ["fastapi>=0.1", "pydantic>=2"]
    for name in ("image-one", "image-two"):
        assert {"--no-emit-package=fastapi", "--no-emit-package=pydantic"} <= set(resolved[name][2])
    assert "duckdb" in resolved["image-one"][0] and "duckdb" not in resolved["image-two"][0]


def test_upgrading_forgets_the_versions_of_the_last_lock(resolved: Resolved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lock", "--upgrade"])
    lock.main()
    assert resolved["all"][2] == ("--upgrade",)
