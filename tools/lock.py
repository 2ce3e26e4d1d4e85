"""Remake the locks: one resolution of everything, then one cut of it per environment. Needs uv and Python 3.11."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from environments import (
    IMAGE_BASE_LIBS,
    JOB_SERVICES,
    LIBS,
    LOCKS,
    NOT_IN_IMAGES,
    OPENMP_FROM,
    PINNED_IN_JOBS,
    ROOT,
    SERVICES,
)

UV = ROOT / ".tools" / "bin" / "uv"
OLDEST_PYTHON = "3.11"


def read_toml(path: Path) -> dict[str, Any]:
    """Return one parsed TOML file."""
    with path.open("rb") as file:
        return tomllib.load(file)


def dependencies(folders: Iterable[str], extra: str | None = None, base: bool = True) -> list[str]:
    """Return what the distributions ask of the world, and what the Capstan libraries ask that they declare."""
    requirements: set[str] = set()
    for folder in folders:
        project = read_toml(ROOT / folder / "pyproject.toml")["project"]
        declared = [
            *(project["dependencies"] if base else []),
            *project.get("optional-dependencies", {}).get(extra, []),
        ]
        libraries = [f"libs/{entry.removeprefix('capstan-')}" for entry in declared if entry.startswith("capstan-")]
        requirements |= {entry for entry in declared if not entry.startswith("capstan-")} | set(dependencies(libraries))
    return sorted(requirements)


def compile_lock(name: str, requirements: Iterable[str], constraints: str, *options: str) -> None:
    """Resolve the requirements into locks/<name>.txt, for each system and each Python since the oldest, with hashes."""
    target = LOCKS / f"{name}.txt"
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.in"
        wanted.write_text("\n".join(requirements) + "\n")
        command = [str(UV), "pip", "compile", str(wanted), "--universal", "--generate-hashes", "--quiet"]
        command += ["--python-version", OLDEST_PYTHON, "--constraints", str(LOCKS / f"{constraints}.txt")]
        command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
        command += ["--output-file", str(target), *options]
        if subprocess.run(command, cwd=folder, check=False).returncode:
            sys.exit(f"lock: could not resolve {name}")
    count = sum(1 for line in target.read_text().splitlines() if "==" in line)
    print(f"locks/{name}.txt: {count} packages")


def packages_of(name: str) -> list[str]:
    """Return the names of the packages in a lock."""
    return [line.split("==")[0] for line in (LOCKS / f"{name}.txt").read_text().splitlines() if "==" in line]


def cut_images() -> None:
    """Write the locks of the images: the layer that all share, what one service adds to it, and the OpenMP runtime."""
    compile_lock("image-base", dependencies(IMAGE_BASE_LIBS), "all", "--upgrade")
    left_out = [f"--no-emit-package={package}" for package in (*packages_of("image-base"), *NOT_IN_IMAGES)]
    for folder in SERVICES:
        wanted = dependencies((*IMAGE_BASE_LIBS, folder))
        compile_lock(f"image-{Path(folder).name}", wanted, "all", "--upgrade", *left_out)
    compile_lock("image-openmp", [OPENMP_FROM], "all", "--no-deps", "--upgrade")


def main() -> None:
    """Write every lock; with --upgrade the versions of the last one are forgotten first."""
    groups = read_toml(ROOT / "pyproject.toml")["dependency-groups"]
    upgrade = sys.argv[1:2] == ["--upgrade"]
    platform = dependencies((*(lib for lib in LIBS if lib != "libs/testkit"), *SERVICES))
    jobs = {
        service: sorted({*dependencies(PINNED_IN_JOBS), *dependencies((f"services/{service}",), "jobs", base=False)})
        for service in JOB_SERVICES
    }
    dev = sorted({*platform, *dependencies(LIBS), *groups["dev"]})
    everything = sorted({*dev, *groups["docs"], *(requirement for wanted in jobs.values() for requirement in wanted)})
    compile_lock("all", everything, "constraints", *(["--upgrade"] if upgrade else []))
    cuts = {"platform": platform, "dev": dev, **jobs}
    for name, wanted in cuts.items():
        compile_lock(name, wanted, "all", "--upgrade")
    compile_lock("recipe", groups["recipe"], "constraints", "--no-deps", "--upgrade")
    compile_lock("docs", groups["docs"], "all", "--upgrade")
    compile_lock("tools", groups["tools"], "constraints", "--upgrade")
    cut_images()


if __name__ == "__main__":
    main()
