"""What a lock is made from: what distributions declare, through the libraries of ours that they name."""

from __future__ import annotations

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
