"""Generated chart files and vendored charts; and the repository as its rules read it."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import chart_files
import source_tree
from environments import ROOT, SERVICES
from source_tree import Module


def charts(folder: Path) -> Path:
    for name in (
        "ingestion",
        "feature-store",
        "training",
        "registry",
        "inference",
        "monitoring",
        "capstan-lib",
        "capstan",
    ):
        (folder / name / "templates").mkdir(parents=True)
        (folder / name / "Chart.yaml").write_text(f"name: {name}\n")
    return folder


def test_each_service_gets_the_library_and_the_umbrella_gets_all(tmp_path: Path) -> None:
    umbrella = chart_files.vendor(charts(tmp_path))
    assert umbrella == tmp_path / "capstan"
    assert (tmp_path / "registry" / "charts" / "capstan-lib" / "Chart.yaml").read_text() == "name: capstan-lib\n"
    assert {path.name for path in (umbrella / "charts").iterdir()} == {
        "ingestion", "feature-store", "training", "registry", "inference", "monitoring", "capstan-lib",
    }  # fmt: skip
    assert (umbrella / "charts" / "registry" / "charts" / "capstan-lib").is_dir()


def test_vendoring_again_leaves_nothing_of_the_last_time(tmp_path: Path) -> None:
    umbrella = chart_files.vendor(charts(tmp_path))
    old = umbrella / "charts" / "registry" / "templates" / "removed.yaml"
    old.write_text("x")
    (tmp_path / "registry" / "Chart.yaml").write_text("name: registry\nversion: 2\n")
    chart_files.vendor(tmp_path)
    assert not old.exists()
    assert "version: 2" in (umbrella / "charts" / "registry" / "Chart.yaml").read_text()


def test_only_what_changed_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chart_files, "ROOT", tmp_path)
    monkeypatch.setattr(chart_files, "files", lambda: {"charts/a.json": "1\n", "charts/b.json": "2\n"})
    chart_files.write()
    (tmp_path / "charts" / "b.json").write_text("changed by hand\n")
    capsys.readouterr()
    chart_files.write()
    assert capsys.readouterr().out == "charts/b.json\n"
    assert (tmp_path / "charts" / "b.json").read_text() == "2\n"


def test_each_service_is_a_user_of_the_broker_with_bounds() -> None:
    users = json.loads(chart_files.nats_users())
    assert users["platform"] == {}, "the administrator has no bounds"
    assert all(users[service] for service in set(users) - {"platform"}) and len(users) == 7


@pytest.mark.parametrize("arguments", [[], ["vendr"], ["write", "x"]])
def test_wrong_verbs_do_nothing(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert chart_files.main(arguments) == 2
    assert "usage: chart_files.py write | vendor" in capsys.readouterr().err


def module(source: str, name: str = "capstan_one.actions.promote", file: str = "promote.py") -> Module:
    return Module(ROOT / "libs" / "one" / file, name, ast.parse(source))


def test_a_module_knows_its_layer() -> None:
    assert module("").room == "actions" and module("").inside == "actions.promote"
    assert module("", "capstan_one").room == ""


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("import a.b.c", "a.b.c"),
        ("from a.b import c as d", "a.b.c"),
        ("from . import ports", "capstan_one.actions.ports"),
        ("from .ports import Port", "capstan_one.actions.ports.Port"),
        ("from ..domain.gates import Gate", "capstan_one.domain.gates.Gate"),
        ("def f():\n    import heavy", "heavy"),
        ("if TYPE_CHECKING:\n    from x import y", "x.y"),
    ],
)
def test_every_import_is_seen_wherever_it_stands(source: str, target: str) -> None:
    (found,) = module(source).imports()
    assert found.target == target and found.top == target.split(".")[0]
    assert found.line == len(source.splitlines())


def test_a_package_is_its_own_parent_for_relative_imports() -> None:
    (found,) = module("from . import x", "capstan_one.actions", "__init__.py").imports()
    assert found.target == "capstan_one.actions.x"


def test_a_place_can_be_clicked_on() -> None:
    assert module("").at(7) == "libs/one/promote.py:7"


def test_files_are_of_the_repository_and_no_environment_or_cache() -> None:
    found = {str(path.relative_to(ROOT)) for path in source_tree.files()}
    assert {"Makefile", "tools/source_tree.py", "pipelines/flight-delay/loop.yaml"} <= found
    assert not any(
        part in {".venv", ".git", "__pycache__", ".mypy_cache"} for path in found for part in Path(path).parts
    )
    assert set(SERVICES) <= {"/".join(Path(path).parts[:2]) for path in found}
