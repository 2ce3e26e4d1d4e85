"""The repository as its own rules see it: modules, what they import, and files. Reads source, imports none of it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from environments import LIBS, ROOT, SERVICES

SKIPPED = {"node_modules", "__pycache__", "build", "dist", "data", "demo-report"}
KEPT_HIDDEN = {".ci", ".github"}


@dataclass(frozen=True)
class Import:
    """One name that a module imports: `a.b.c` for `import a.b.c` as for `from a.b import c`."""

    target: str
    line: int

    @property
    def top(self) -> str:
        """The top-level package."""
        return self.target.partition(".")[0]


@dataclass(frozen=True)
class Module:
    """One source file of a distribution."""

    path: Path
    name: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The first part below the package: `actions` for capstan_registry.actions.promote_version."""
        return self.name.partition(".")[2].partition(".")[0]

    @property
    def inside(self) -> str:
        """The name without the package: `actions.promote_version`."""
        return self.name.partition(".")[2]

    def imports(self) -> Iterator[Import]:
        """Yield everything imported anywhere in the file, also in functions and for type checkers."""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (Import(alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                parts = package.split(".")
                start = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
                base = ".".join(filter(None, (start, node.module)))
                yield from (Import(f"{base}.{alias.name}", node.lineno) for alias in node.names)

    def at(self, line: int) -> str:
        """Return a place to click on: path and line."""
        return f"{self.path.relative_to(ROOT)}:{line}"


def package_of(folder: str) -> str:
    """Return the import name of a distribution: capstan_feature_store for services/feature-store."""
    return "capstan_" + Path(folder).name.replace("-", "_")


@cache
def modules(folder: str) -> tuple[Module, ...]:
    """Return every module of one distribution, parsed."""
    source = ROOT / folder / "src"
    parsed = []
    for path in sorted(source.rglob("*.py")):
        parts = list(path.relative_to(source).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        parsed.append(Module(path, name, ast.parse(path.read_text(encoding="utf-8"), filename=str(path))))
    return tuple(parsed)


def all_modules() -> Iterator[tuple[str, Module]]:
    """Yield folder and module for every distribution."""
    for folder in (*LIBS, *SERVICES):
        for module in modules(folder):
            yield folder, module


@cache
def files() -> tuple[Path, ...]:
    """Return every file of the repository: no environment, no cache, nothing that a platform left behind."""
    paths = []
    for folder, below, names in os.walk(ROOT):
        below[:] = sorted(name for name in below if name not in SKIPPED and (name[0] != "." or name in KEPT_HIDDEN))
        paths += [Path(folder) / name for name in names if (Path(folder) / name).is_file() and name != ".git"]
    return tuple(sorted(paths))
