"""A distribution from outside the repository, put on the import path of a test: how a third party adds a kind."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.kinds.family import Family


def install_distribution(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    modules: Mapping[str, str],
    entry_points: Mapping[str, Mapping[str, str]],
    families: Iterable[Family[Any]] = (),
) -> Path:
    """Write modules and the metadata that an installer would, and put both on the path until the test ends.

    `modules`: module name to source. `entry_points`: group to name of the kind to `module:object`. `families`: those of
    the process that may have looked already, and look again now and after the test. Returns the folder.
    """
    site = folder / f"site-{name}"
    metadata = site / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = [
        line
        for group, kinds in entry_points.items()
        for line in (f"[{group}]", *(f"{kind} = {value}" for kind, value in kinds.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    for family in families:
        monkeypatch.setattr(family, "__dict__", vars(Family(family.group, family.fault)))
    return site
