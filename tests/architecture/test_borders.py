"""Who may import whom. import-linter holds the layers; here are the rules that need names of rooms or packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from environments import ROOT, SERVICES
from source_tree import Module, all_modules, modules, package_of

HEAVY = {
    "dvc", "dvc_data", "dvc_objects", "evidently", "feast", "great_expectations", "kfp", "kserve", "lightgbm", "mlflow",
    "pandas", "prefect", "sklearn", "torch", "transformers", "xgboost",
}  # fmt: skip
"""Packages that cost seconds and hundreds of megabytes: only what runs in a worker process may import them."""

FRAMEWORKS = {
    "alembic", "aiosqlite", "asyncpg", "capstan_servicekit", "duckdb", "fastapi", "httpx", "nats", "pyarrow",
    "requests", "sqlalchemy", "starlette", "structlog", "subprocess", "socket", "uvicorn",
}  # fmt: skip
"""What domain/ does without: it is pure."""

MAY_IMPORT = {
    "__main__": {"app", "settings", "dataplane", "tables", "migrations"},
    "app": {"settings", "routes", "subscriptions", "adapters", "actions", "tables", "domain"},
    "routes": {"routes", "actions", "domain"},
    "subscriptions": {"actions", "domain"},
    "adapters": {"adapters", "actions.ports", "domain", "tables", "settings"},
    "actions": {"actions", "tables", "domain", "sources", "gates.installed", "statistics.installed"},
    "migrations": {"migrations", "tables"},
    "tables": {"domain"},
    "settings": {"domain"},
    "jobs": {"jobs", "domain", "statistics", "modalities", "media"},
    "gates": {"gates", "jobs", "domain"},
    "statistics": {"statistics", "domain"},
    "modalities": {"modalities", "media", "domain"},
    "media": {"media", "domain"},
    "sources": {"sources", "domain"},
    "dataplane": {"dataplane"},
    "domain": {"domain"},
}
"""For each room of a service, the rooms of the same service that it may import."""

WORKER_ROOMS = {"jobs", "gates", "statistics"}
"""What is run in a worker process: jobs, and the kinds that jobs ask."""


def breaches(module: Module, package: str) -> list[str]:
    allowed = MAY_IMPORT.get(module.room, set())
    found = []
    for one in module.imports():
        inside = one.target.removeprefix(f"{package}.")
        if one.top != package or inside == package:
            continue
        if not any(inside == room or inside.startswith(f"{room}.") for room in allowed):
            found.append(f"{module.at(one.line)} {module.room} imports {one.target}")
    return found


def foreign(module: Module, banned: set[str]) -> list[str]:
    return [f"{module.at(one.line)} imports {one.target}" for one in module.imports() if one.top in banned]


def test_import_linter_is_content() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", SERVICES)
def test_rooms_import_only_what_lies_below_them(folder: str) -> None:
    found = [breach for module in modules(folder) for breach in breaches(module, package_of(folder))]
    assert found == []


def test_heavy_packages_are_imported_in_worker_processes_only() -> None:
    found = [one for _, module in all_modules() if module.room not in WORKER_ROOMS for one in foreign(module, HEAVY)]
    assert found == []


@pytest.mark.parametrize("folder", SERVICES)
def test_the_domain_is_pure(folder: str) -> None:
    found = [one for module in modules(folder) if module.room == "domain" for one in foreign(module, FRAMEWORKS)]
    assert found == []


@pytest.mark.parametrize("folder", SERVICES)
def test_jobs_know_the_service_kit_only_by_the_job_interface(folder: str) -> None:
    found = [
        module.at(one.line)
        for module in modules(folder)
        if module.room in WORKER_ROOMS
        for one in module.imports()
        if one.top == "capstan_servicekit" and not one.target.startswith("capstan_servicekit.jobs.")
    ]
    assert found == []


def test_a_forbidden_import_would_be_seen() -> None:
    """The rules themselves: a source that breaks them is reported, in each way of writing an import."""
    source = (
        "from ..adapters import mlflow\nimport capstan_registry.app\nfrom capstan_registry.actions.ports import Port\n"
    )
    module = parsed("capstan_registry.domain.verdict", source)
    assert [one.split()[-1] for one in breaches(module, "capstan_registry")] == [
        "capstan_registry.adapters.mlflow",
        "capstan_registry.app",
        "capstan_registry.actions.ports.Port",
    ]
    adapter = parsed(
        "capstan_registry.adapters.mlflow", "from ..actions.ports import Port\nfrom ..actions import promote\n"
    )
    assert [one.split()[-1] for one in breaches(adapter, "capstan_registry")] == ["capstan_registry.actions.promote"]


def parsed(name: str, source: str) -> Module:
    return Module(ROOT / Path(*name.split(".")).with_suffix(".py"), name, ast.parse(source))
