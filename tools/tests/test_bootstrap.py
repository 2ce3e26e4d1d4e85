"""The bootstrap: which Python it takes, when an environment is made again, and what it says when it cannot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import bootstrap
from bootstrap import BootstrapError
from environments import Environment


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """A PATH of its own, and a function that puts a script there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, value in {"PATH": str(folder), "HOME": str(tmp_path), "PYENV_ROOT": str(tmp_path / "pyenv")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    monkeypatch.delenv("CAPSTAN_PYTHON", raising=False)

    def add(name: str, script: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return add


def only_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the interpreters of this machine out of the search."""
    real = bootstrap.interpreters
    monkeypatch.setattr(bootstrap, "interpreters", lambda: [one for one in real() if "/" not in one])


def test_a_chosen_python_is_the_only_one_asked(bin_folder: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPSTAN_PYTHON", "/opt/python")
    assert list(bootstrap.interpreters()) == ["/opt/python"]


def test_3_12_is_looked_for_before_3_11_and_in_the_usual_places(bin_folder: object, tmp_path: Path) -> None:
    installed = tmp_path / "pyenv" / "versions" / "3.11.9" / "bin" / "python3.11"
    installed.parent.mkdir(parents=True)
    installed.touch()
    found = list(bootstrap.interpreters())
    assert found[0] == "python3.12" and found[-2:] == [sys.executable, "python3"]
    assert found.index("python3.12") < found.index("python3.11") < found.index(str(installed))


def test_a_shim_that_does_not_run_is_passed_over(
    bin_folder: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_folder("python3.12", "echo 'pyenv: python3.12: command not found' >&2; exit 127")
    bin_folder("python3.11", "echo 3.11; echo /opt/python3.11")
    only_on_the_path(monkeypatch)
    assert bootstrap.find_python() == ("3.11", "/opt/python3.11")


def test_a_python_of_another_version_is_passed_over(
    bin_folder: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_folder("python3.12", "echo 3.14; echo /opt/python3.14")
    bin_folder("python3", "echo 3.12; echo /opt/real")
    only_on_the_path(monkeypatch)
    assert bootstrap.find_python() == ("3.12", "/opt/real")


def test_where_there_is_none_it_is_said_how_to_get_one(bin_folder: object, monkeypatch: pytest.MonkeyPatch) -> None:
    only_on_the_path(monkeypatch)
    with pytest.raises(BootstrapError, match=r"(?s)Capstan needs Python 3\.12.*CAPSTAN_PYTHON="):
        bootstrap.find_python()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a lock and a distribution, and tools that are there."""
    made = tmp_path / "repository"
    (made / "locks").mkdir(parents=True)
    (made / "locks" / "dev.txt").write_text("a==1\nb==2\n")
    (made / "locks" / "tools.txt").write_text("uv==1\n")
    (made / "libs" / "one").mkdir(parents=True)
    (made / "libs" / "one" / "pyproject.toml").write_text("[project]\n")
    for name, value in {"ROOT": made, "LOCKS": made / "locks", "TOOLS": made / ".tools"}.items():
        monkeypatch.setattr(bootstrap, name, value)
    return made


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[list[str]]:
    """The commands that are run; `uv venv` makes a python."""
    ran: list[list[str]] = []

    def run(command: list[str], hint: str) -> None:
        ran.append(command)
        if command[1] == "venv":
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()

    monkeypatch.setattr(bootstrap, "run", run)
    return ran


def environment(root: Path) -> Environment:
    return Environment("one", root / ".venv", ("dev",), ("libs/one",))


def test_an_environment_is_made_once(root: Path, commands: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.make(environment(root))
    assert [command[1:3] for command in commands] == [["venv", "--clear"], ["pip", "sync"], ["pip", "install"]]
    assert "--require-hashes" in commands[1] and str(root / "locks" / "dev.txt") in commands[1]
    assert commands[2][-2:] == ["-e", "./libs/one"] and "--no-deps" in commands[2]
    assert ".venv: about 2 packages ..." in capsys.readouterr().out
    commands.clear()
    bootstrap.make(environment(root))
    assert commands == []


@pytest.mark.parametrize("changed", ["locks/dev.txt", "libs/one/pyproject.toml"])
def test_it_is_brought_up_to_date_when_what_decides_changes(
    root: Path, commands: list[list[str]], changed: str
) -> None:
    bootstrap.make(environment(root))
    commands.clear()
    (root / changed).write_text("a==2\n")
    bootstrap.make(environment(root))
    assert [command[1:3] for command in commands] == [["pip", "sync"], ["pip", "install"]], "the folder stays"


def test_it_is_made_anew_where_the_repository_was_moved(root: Path, commands: list[list[str]]) -> None:
    bootstrap.make(environment(root))
    stamp = (root / ".venv" / bootstrap.STAMP).read_text().split("\n")[0]
    (root / ".venv" / bootstrap.STAMP).write_text(f"{stamp}\n/elsewhere/.venv")
    commands.clear()
    bootstrap.make(environment(root))
    assert commands[0][1:3] == ["venv", "--clear"]


def test_one_that_was_left_half_made_is_finished(
    root: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstrap.make(environment(root))
    (root / "locks" / "dev.txt").write_text("a==3\n")

    def fails(command: list[str], hint: str) -> None:
        raise BootstrapError(hint)

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "run", fails)
        with pytest.raises(BootstrapError, match="Is a package index reachable"):
            bootstrap.make(environment(root))
    (root / "locks" / "dev.txt").write_text("a==1\nb==2\n")
    commands.clear()
    bootstrap.make(environment(root))
    assert commands, "the old stamp does not say that it is finished"


@pytest.mark.parametrize("content", ["", "one line", "a\nb\nc"])
def test_a_stamp_that_is_none_is_no_stamp(tmp_path: Path, content: str) -> None:
    (tmp_path / bootstrap.STAMP).write_text(content)
    assert bootstrap.read_stamp(tmp_path) == ("", "")
    assert not bootstrap.is_current(tmp_path, "")


def test_a_failed_command_says_the_hint_and_its_own_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; print('x' * 5000, file=sys.stderr); sys.exit('the very last words')"
    with pytest.raises(BootstrapError) as said:
        bootstrap.run([sys.executable, "-c", code], "Look here.")
    assert str(said.value).startswith("Look here.\n") and str(said.value).endswith("the very last words")
    assert len(str(said.value)) < 2100


def test_settings_of_an_active_environment_do_not_reach_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    code = "import os, sys; sys.exit('PYTHONPATH' in os.environ or 'VIRTUAL_ENV' in os.environ)"
    bootstrap.run([sys.executable, "-c", code], "they are there")


def test_an_unknown_environment_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["platfrom"]) == 2
    assert "no environment platfrom; there are: platform, docs, ingestion" in capsys.readouterr().err


def test_a_failure_is_a_sentence_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise BootstrapError("no index")

    monkeypatch.setattr(bootstrap, "make_tools", fails)
    assert bootstrap.main(["all"]) == 1
    assert capsys.readouterr().err == "\nno index\n"


def test_it_starts_on_an_old_python() -> None:
    """It has to say what is missing, so it may use nothing newer than 3.8 (checked by compiling for that grammar)."""
    source = (Path(bootstrap.__file__)).read_text()
    code = "import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 8))"
    subprocess.run([sys.executable, "-c", code], input=source, text=True, check=True)
