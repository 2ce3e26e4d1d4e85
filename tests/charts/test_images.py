"""The images: their locks hold what the services declare, and the Dockerfile keeps to its promises."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from environments import IMAGE_BASE_LIBS, LOCKS, NOT_IN_IMAGES, OPENMP_FROM, ROOT, SERVICES

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
FINAL = DOCKERFILE.rpartition("\nFROM ")[2]


def pins(lock: str) -> dict[str, str]:
    """Version of each package; of one with several, the last."""
    return dict(PIN.findall((LOCKS / f"{lock}.txt").read_text(encoding="utf-8")))


def declared(folder: str) -> set[str]:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {canonicalize_name(Requirement(one).name) for one in project["dependencies"]}
    libraries = [f"libs/{name.removeprefix('capstan-')}" for name in names if name.startswith("capstan-")]
    return {name for name in names if not name.startswith("capstan-")}.union(*(declared(one) for one in libraries))


@pytest.mark.parametrize("folder", SERVICES)
def test_an_image_holds_what_its_service_declares(folder: str) -> None:
    held = {**pins("image-base"), **pins(f"image-{Path(folder).name}")}
    wanted = set().union(*(declared(one) for one in (*IMAGE_BASE_LIBS, folder)))
    assert wanted <= set(held)
    assert not set(NOT_IN_IMAGES) & set(held)


@pytest.mark.parametrize("folder", SERVICES)
def test_the_shared_layer_is_not_there_twice(folder: str) -> None:
    assert not set(pins("image-base")) & set(pins(f"image-{Path(folder).name}"))


@pytest.mark.parametrize("lock", ["base", "openmp", *(Path(folder).name for folder in SERVICES)])
def test_locks_of_images_are_cuts_of_the_one_resolution(lock: str) -> None:
    text = (LOCKS / "all.txt").read_text(encoding="utf-8")
    everything = set(PIN.findall(text))
    assert set(PIN.findall((LOCKS / f"image-{lock}.txt").read_text(encoding="utf-8"))) <= everything


def test_the_openmp_runtime_comes_from_a_locked_wheel() -> None:
    assert set(pins("image-openmp")) == {OPENMP_FROM}


def test_any_docker_can_build_it() -> None:
    assert "--mount" not in DOCKERFILE and not DOCKERFILE.lower().startswith("# syntax")
    assert "latest" not in DOCKERFILE


def test_the_final_stage_installs_nothing() -> None:
    assert not re.search(r"\b(uv|pip3?|apt-get|gcc)\s", FINAL)
    assert "/uv" not in FINAL


def test_the_final_stage_runs_as_nobody_special_with_sources_last() -> None:
    assert re.search(r"^USER 10001:10001$", FINAL, re.MULTILINE)
    copies = re.findall(r"^COPY (?:--\S+ )*(\S+) ", FINAL, re.MULTILINE)
    sources = [one for one in copies if one.startswith(("libs/", "services/"))]
    assert sources and copies[-len(sources) :] == sources
