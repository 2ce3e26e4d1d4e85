"""The table of environments fits the repository: every lock, distribution and job group that it names is there."""

from __future__ import annotations

import pytest

from environments import ENVIRONMENTS, IMAGE_LIBS, JOB_LIBS, JOB_SERVICES, LIBS, LOCKS, PINNED_IN_JOBS, ROOT, SERVICES
from lock import dependencies, read_toml
from source_tree import modules, package_of


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_locks_and_distributions_are_there(name: str) -> None:
    environment = ENVIRONMENTS[name]
    assert [one for one in environment.locks if not (LOCKS / f"{one}.txt").is_file()] == []
    assert [one for one in environment.distributions if not (ROOT / one / "pyproject.toml").is_file()] == []
    assert environment.folder.parent in (ROOT, ROOT / ".venvs")


def test_every_distribution_is_listed() -> None:
    found = {
        str(path.parent.relative_to(ROOT))
        for kind in ("libs", "services")
        for path in ROOT.glob(f"{kind}/*/pyproject.toml")
    }
    assert found == {*LIBS, *SERVICES}


def test_a_service_with_an_extra_for_jobs_has_an_environment_for_them() -> None:
    with_extra = {
        folder.removeprefix("services/") for folder in SERVICES
        if "jobs" in read_toml(ROOT / folder / "pyproject.toml")["project"].get("optional-dependencies", {})
    }  # fmt: skip
    assert with_extra == set(JOB_SERVICES)


def test_libraries_in_jobs_are_in_images_and_ask_for_nothing_that_is_not_pinned() -> None:
    assert set(PINNED_IN_JOBS) <= set(JOB_LIBS) <= set(IMAGE_LIBS)
    for service in JOB_SERVICES:
        pinned = (LOCKS / f"{service}.txt").read_text()
        for wanted in dependencies(PINNED_IN_JOBS):
            name = wanted.split(">")[0].split("=")[0].split("<")[0].split("[")[0].strip()
            assert f"\n{name}==" in f"\n{pinned}", f"{service}: {name}"


def test_a_distribution_is_imported_under_its_name() -> None:
    assert package_of("services/feature-store") == "capstan_feature_store"
    for folder in (*LIBS, *SERVICES):
        assert any(module.name == package_of(folder) for module in modules(folder)), folder
