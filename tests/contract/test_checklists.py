"""The checklists of docs/how-to say what a kind consists of: every kind of ours has what they name."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from environments import LIBS, ROOT, SERVICES

PAGES = sorted((ROOT / "docs/how-to").glob("add-a*.md"))
FILE = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
KIND = "<kind>"


@dataclass(frozen=True)
class Checklist:
    """What a page asks for. `suite` is `module:Class`, or empty where a shared test module is the suite."""

    files: tuple[str, ...]
    groups: tuple[str, ...]
    port: str
    suite: str
    tests: str

    @property
    def group(self) -> str:
        """That of the implementation; the other one is that of the specs."""
        return self.groups[-1]


def checklist(page: Path) -> Checklist:
    text = page.read_text(encoding="utf-8")
    assert "## Checklist" in text, page
    *suite, tests = words_of(text, "suite")
    (port,) = words_of(text, "port")
    return Checklist(tuple(FILE.findall(text)), tuple(words_of(text, "entry points")), port, "".join(suite), tests)


def words_of(text: str, row: str) -> list[str]:
    line = re.search(rf"^\| {row} \| (.*) \|$", text, re.MULTILINE)
    assert line is not None, row
    return re.findall(r"`([^`]+)`", line[1])


@cache
def declared() -> dict[str, dict[str, dict[str, str]]]:
    """Group -> pyproject.toml -> name of the kind -> `module:object`, of all our distributions."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for folder in (*LIBS, *SERVICES):
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for group, kinds in project.get("entry-points", {}).items():
            found.setdefault(group, {})[f"{folder}/pyproject.toml"] = kinds
    return found


def kinds_of(group: str) -> dict[str, str]:
    return {kind: value for kinds in declared()[group].values() for kind, value in kinds.items()}


def file_of(entry: str) -> str:
    """The file, in the repository, that holds the object of an entry point."""
    file = importlib.import_module(entry.partition(":")[0]).__file__
    assert file is not None
    return str(Path(file).relative_to(ROOT))


def test_every_family_has_a_page_and_every_page_a_family() -> None:
    named = [group for page in PAGES for group in checklist(page).groups]
    assert sorted(named) == sorted(group for group in declared() if group.startswith("capstan."))


@pytest.fixture(params=PAGES, ids=lambda page: page.stem)
def page(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_each_kind_of_ours_has_the_files_that_the_page_names(page: Path) -> None:
    asked = checklist(page)
    plain = [file for file in asked.files if KIND not in file]
    own = [file for file in asked.files if KIND in file]
    assert [file for file in (*plain, asked.port, asked.tests) if not (ROOT / file).is_file()] == []
    assert len(own) == 1, "the file of a kind is one, and others are reached from it"
    pattern = re.compile(re.escape(own[0]).replace(re.escape(KIND), "([a-z0-9_]+)"))
    for kind, entry in kinds_of(asked.group).items():
        found = pattern.fullmatch(file_of(entry))
        assert found is not None, f"{kind}: {file_of(entry)} is not {own[0]}"
        assert found[1] == kind.replace("-", "_")


def test_the_entry_points_stand_where_the_page_says_and_the_code_reads_them(page: Path) -> None:
    asked = checklist(page)
    for group in asked.groups:
        assert set(declared()[group]) <= set(asked.files)
        assert read_by(group), f"nothing reads {group}"
    for spec in asked.groups[:-1]:
        assert kinds_of(spec).keys() == kinds_of(asked.group).keys()
        assert {file_of(entry) for entry in kinds_of(spec).values()} <= set(asked.files)


def read_by(group: str) -> list[str]:
    """The modules in which the group stands as a string, not counting docstrings."""
    sources = [path for folder in (*LIBS, *SERVICES) for path in sorted((ROOT / folder / "src").rglob("*.py"))]
    return [str(path) for path in sources if group in path.read_text(encoding="utf-8") and group in texts_of(path)]


def test_the_suite_runs_over_every_kind_of_ours(page: Path) -> None:
    asked = checklist(page)
    tests = ROOT / asked.tests
    if asked.suite:
        module, _, name = asked.suite.partition(":")
        assert isinstance(getattr(importlib.import_module(module), name), type)
        assert name in bases_of(tests)
    # Its kinds stand in the test module or in the fixtures beside it, unless it asks the family for them.
    near = [path for path in (tests, tests.parent / "conftest.py") if path.is_file()]
    texts = {text for path in near for text in texts_of(path)}
    missing = [kind for kind in kinds_of(asked.group) if kind not in texts]
    assert missing == [] or ".names" in tests.read_text(encoding="utf-8")


def texts_of(path: Path) -> set[str]:
    """The string constants of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def bases_of(path: Path) -> set[str]:
    """The names of what the classes of a module inherit."""
    classes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ClassDef)]
    return {base.id for node in classes for base in node.bases if isinstance(base, ast.Name)}


def test_contributing_links_every_page() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"(docs/how-to/{page.name})" not in text] == []
