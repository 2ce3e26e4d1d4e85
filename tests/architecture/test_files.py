"""Files stay short, and speak of this project only: no path of a machine, no address of a package registry."""

from __future__ import annotations

import re
from pathlib import Path

from environments import ROOT
from source_tree import files

LINES = 400
TEST_LINES = 500
HOME_PATH = re.compile(rb"(?<![\w./-])/(?:root|home/[a-z]\w*|Users/[A-Za-z]\w*)/")
REGISTRIES = [
    ".".join(parts).encode()
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("repo1", "maven", "org"),
        ("deb", "debian", "org"),
    )
]


def test_no_source_file_is_too_long() -> None:
    found = []
    for path in files():
        limit = TEST_LINES if "tests" in path.parts else LINES
        if path.suffix == ".py" and (count := path.read_bytes().count(b"\n")) > limit:
            found.append(f"{path.relative_to(ROOT)}: {count}")
    assert found == []


def test_no_file_names_a_place_outside_the_repository() -> None:
    places = [str(ROOT).encode() + b"/", *REGISTRIES]
    found = []
    for path in files():
        content = path.read_bytes()
        if b"\0" in content[:8192]:
            continue
        if HOME_PATH.search(content) or any(place in content for place in places):
            found.append(str(path.relative_to(ROOT)))
    assert found == []


def test_the_rule_sees_a_home_path() -> None:
    assert HOME_PATH.search(b"cd " + b"/".join([b"", b"home", b"ada", b"capstan"]))
    assert not HOME_PATH.search(b"https://example.org/home/page/")
    assert Path(ROOT, "Makefile") in files()
