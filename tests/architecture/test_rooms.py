"""Each service has the same rooms under the same names, so that a file's place tells its layer."""

from __future__ import annotations

import pytest

from environments import LIBS, ROOT, SERVICES
from source_tree import files, modules, package_of

REQUIRED = {"__init__.py", "__main__.py", "settings.py", "app.py", "tables.py", "subscriptions.py", "py.typed"}
REQUIRED_FOLDERS = {"domain", "actions", "routes", "migrations"}
OPTIONAL_FOLDERS = {"adapters", "jobs"}
ONLY_IN = {
    "services/inference": {"dataplane"},
    "services/ingestion": {"media", "modalities", "sources"},
    "services/registry": {"gates"},
    "services/monitoring": {"statistics"},
}
TEST_LANES = {"unit", "api", "integration"}


def test_there_are_six_services() -> None:
    present = {f"services/{path.name}" for path in (ROOT / "services").iterdir() if path.is_dir()}
    built = {folder for folder in present if (ROOT / folder / "src" / package_of(folder) / "app.py").exists()}
    assert present == set(SERVICES)
    assert built == set(SERVICES)


@pytest.mark.parametrize("folder", SERVICES)
def test_a_service_has_every_room_and_no_other(folder: str) -> None:
    rooms = [path for path in (ROOT / folder / "src" / package_of(folder)).iterdir() if path.name != "__pycache__"]
    assert {path.name for path in rooms if path.is_file()} == REQUIRED
    folders = {path.name for path in rooms if path.is_dir()}
    assert folders >= REQUIRED_FOLDERS
    assert folders - REQUIRED_FOLDERS <= OPTIONAL_FOLDERS | ONLY_IN.get(folder, set())


@pytest.mark.parametrize("folder", SERVICES)
def test_adapters_stand_behind_ports(folder: str) -> None:
    names = {module.inside for module in modules(folder)}
    if any(name.startswith("adapters.") for name in names):
        assert "actions.ports" in names


@pytest.mark.parametrize("folder", SERVICES)
def test_the_tests_of_a_service_lie_in_lanes(folder: str) -> None:
    lanes = {path.name for path in (ROOT / folder / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert lanes
    assert lanes <= TEST_LANES


@pytest.mark.parametrize("folder", (*LIBS, *SERVICES))
def test_each_distribution_is_typed(folder: str) -> None:
    assert (ROOT / folder / "src" / package_of(folder) / "py.typed").is_file()


def test_test_folders_are_no_packages() -> None:
    assert [path for path in files() if path.name == "__init__.py" and "tests" in path.parts] == []


VAGUE = {"utils", "helpers", "common", "manager", "misc", "util", "helper"}


def test_no_file_has_a_name_that_says_nothing() -> None:
    kept = {ROOT / "libs/contracts/src/capstan_contracts/rest/common.py"}
    assert [path for path in files() if path.suffix == ".py" and path.stem in VAGUE and path not in kept] == []
