"""The commands that the documentation names are there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from capstan_client.cli import app
from environments import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "pipelines").glob("*/README.md")),
]
COMMAND = re.compile(r"(?:\.venv/bin/|`|\$\()capstan((?: --[a-z]+ [A-Za-z-]+)*)((?: [a-z][a-z-]*){1,2})")
MODULE = re.compile(r"`(capstan_[a-z_]+(?:\.[a-z_]+)+)`")
TARGET = re.compile(r"(?:^|`|&& )make ([a-z][a-z0-9-]*)", re.MULTILINE)


def commands(command: Any) -> dict[str, Any]:
    """What a group has; nothing of a command."""
    found: dict[str, Any] = getattr(command, "commands", {})
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_target_exists(page: Path) -> None:
    text, root = page.read_text(encoding="utf-8"), commands(typer.main.get_command(app))
    for _, words in COMMAND.findall(text):
        first, *rest = words.split()
        assert first in root, f"capstan {words.strip()}"
        if (inner := commands(root[first])) and rest:
            assert rest[0] in inner, f"capstan {words.strip()}"
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(TARGET.findall(text)) <= targets


@pytest.mark.parametrize("page", sorted((ROOT / "docs/architecture").glob("*.md")), ids=lambda page: page.name)
def test_every_module_that_the_architecture_names_is_there(page: Path) -> None:
    for name in MODULE.findall(page.read_text(encoding="utf-8")):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            owner, _, attribute = name.rpartition(".")
            assert hasattr(importlib.import_module(owner), attribute), name


def test_the_patterns_find_what_the_readme_names() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {"status", "apply", "trace"} <= {words.split()[0] for _, words in COMMAND.findall(text)}
    assert {"demo", "test", "test-e2e"} <= set(TARGET.findall(text))
