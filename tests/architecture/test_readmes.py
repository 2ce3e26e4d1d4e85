"""Each library and service has a README; each folder of the chassis says on one page what goes in and what does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHASSIS = ROOT / "libs" / "servicekit" / "src" / "capstan_servicekit"
PAGE_LINES = 60
DISTRIBUTIONS = sorted(
    path.parent for path in [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
)
FOLDERS = sorted(path.parent for path in CHASSIS.glob("*/__init__.py"))


@pytest.mark.parametrize("folder", [*DISTRIBUTIONS, *FOLDERS], ids=lambda folder: str(folder.relative_to(ROOT)))
def test_it_has_a_page(folder: Path) -> None:
    assert (folder / "README.md").read_text().startswith("# ")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_page_of_the_chassis_sets_its_border_and_names_modules_that_exist(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    assert "**What goes in**" in text and "**What does not**" in text
    assert len(text.splitlines()) <= PAGE_LINES
    modules = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")}
    assert modules <= set(re.findall(r"`([a-z_0-9]+)(?:\.\w+)?`", text))
