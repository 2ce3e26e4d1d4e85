"""The generated reference is what the code says."""

from __future__ import annotations

import pytest

import reference
from environments import ROOT


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return reference.files()


def test_the_reference_is_current(generated: dict[str, str]) -> None:
    kept = {str(path.relative_to(ROOT)) for path in (ROOT / reference.REFERENCE).iterdir()}
    assert kept == set(generated), "run `make reference`"
    stale = [name for name, content in generated.items() if (ROOT / name).read_text(encoding="utf-8") != content]
    assert stale == [], "run `make reference`"


def test_every_command_is_documented_with_what_it_does(generated: dict[str, str]) -> None:
    page = generated["docs/reference/cli.md"]
    headings = [line for line in page.splitlines() if line.startswith("#")]
    assert "## capstan apply" in headings and "### capstan runs logs" in headings
    bodies = page.split("\n#")[1:]
    assert [body.splitlines()[0] for body in bodies if not "".join(body.splitlines()[1:4]).strip()] == []
