"""Each distribution declares what it imports, and the locks hold one version of everything that is declared."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from environments import ENVIRONMENTS, JOB_SERVICES, LIBS, LOCKS, PINNED_IN_JOBS, ROOT, SERVICES
from source_tree import modules, package_of

OUTSIDE_THE_PLATFORM = {
    "dvc_data": "dvc-data",
    "dvc_objects": "dvc-objects",
    "evidently": "evidently",
    "great_expectations": "great-expectations",
    "kfp": "kfp",
    "mlflow": "mlflow",
    "pandas": "pandas",
    "sklearn": "scikit-learn",
}
"""Import name to distribution, for what is installed in job environments only."""

THROUGH = {"click": "typer", "pydantic_core": "pydantic", "starlette": "fastapi"}
"""Used through the package that owns it: a version of its own would only be able to contradict."""

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$", re.MULTILINE)


def declared(folder: str, extra: str | None = None) -> list[Requirement]:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*project["dependencies"], *(project.get("optional-dependencies", {}).get(extra, []) if extra else [])]
    return [Requirement(text) for text in texts]


def names_of(requirements: list[Requirement]) -> set[str]:
    return {canonicalize_name(one.name) for one in requirements}


def available(folder: str) -> set[str]:
    """Return what a distribution may import: what it declares, and what the Capstan libraries it declares bring along.

    The framework's versions are said once, in the service kit, and not again in six services.
    """
    names = names_of(declared(folder))
    libraries = [lib for lib in LIBS if f"capstan-{lib.removeprefix('libs/')}" in names]
    return names.union(*(available(lib) for lib in libraries))


def available_to_jobs(folder: str) -> set[str]:
    """Return what the job environment of a service has: no framework, only the libraries' own needs and the extra."""
    own = names_of(declared(folder, "jobs")[len(declared(folder)) :])
    libraries = {*PINNED_IN_JOBS, *(lib for lib in LIBS if f"capstan-{Path(lib).name}" in own)}
    return own.union(
        {"capstan-servicekit"},
        *(available(lib) | {canonicalize_name(f"capstan-{Path(lib).name}")} for lib in libraries),
    )


def imported(folder: str) -> Iterator[tuple[str, str, bool]]:
    """Yield place, distribution and whether a job needs it (jobs use the domain) for each import from outside."""
    owners = importlib.metadata.packages_distributions()
    for module in modules(folder):
        for one in module.imports():
            if one.top in sys.stdlib_module_names or one.top == package_of(folder):
                continue
            owner = THROUGH.get(one.top) or OUTSIDE_THE_PLATFORM.get(one.top)
            name = owner or (owners.get(one.top) or [one.top])[0]
            yield (
                f"{module.at(one.line)} {one.top}",
                canonicalize_name(name),
                module.room in {"jobs", "domain", "statistics"},
            )


@pytest.mark.parametrize("folder", (*LIBS, *SERVICES))
def test_a_distribution_declares_what_it_imports(folder: str) -> None:
    has_environment = folder.removeprefix("services/") in JOB_SERVICES
    platform = available(folder)
    jobs = available_to_jobs(folder) if has_environment else platform
    found = [place for place, name, in_job in imported(folder) if name not in (jobs if in_job else platform)]
    assert found == []


def pins(lock: str) -> set[tuple[str, str, str]]:
    """Return name, version and marker of each line of a lock."""
    text = (LOCKS / f"{lock}.txt").read_text(encoding="utf-8")
    return {(canonicalize_name(name), version, marker) for name, version, marker in PIN.findall(text)}


def versions(lock: str) -> set[tuple[str, str]]:
    return {(name, version) for name, version, _ in pins(lock)}


@pytest.mark.parametrize("lock", ("platform", "dev", *JOB_SERVICES))
def test_every_lock_is_a_cut_of_the_one_resolution(lock: str) -> None:
    assert pins(lock)
    assert versions(lock) <= versions("all")


@pytest.mark.parametrize("folder", (*LIBS, *SERVICES))
def test_what_a_distribution_asks_for_is_in_the_locks(folder: str) -> None:
    wanted = {lock: declared(folder) for lock in ("all", "dev")}
    if folder.removeprefix("services/") in JOB_SERVICES:
        wanted[folder.removeprefix("services/")] = declared(folder, "jobs")[len(declared(folder)) :]
    missing = [
        f"{requirement} in locks/{lock}.txt: make lock"
        for lock, requirements in wanted.items()
        for requirement in requirements
        if not requirement.name.startswith("capstan-") and not is_met(requirement, lock)
    ]
    assert missing == []


def is_met(requirement: Requirement, lock: str) -> bool:
    held = [version for name, version in versions(lock) if name == canonicalize_name(requirement.name)]
    return bool(held) and all(requirement.specifier.contains(version, prereleases=True) for version in held)


def test_locks_carry_hashes_and_no_address() -> None:
    for path in LOCKS.glob("*.txt"):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text
        if path.stem != "constraints":
            assert not re.search(r"^\s*-(?!-hash)", text, re.MULTILINE)
            assert text.count("==") <= text.count("--hash=")


def test_each_environment_has_its_lock() -> None:
    locks = {path.stem for path in LOCKS.glob("*.txt")}
    assert {name for environment in ENVIRONMENTS.values() for name in environment.locks} <= locks
