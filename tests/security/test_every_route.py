"""Every route of every service declares who may call it, and lets no stranger in. Bad names never reach a file."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.errors import Problem
from capstan_contracts.ids import SERVICES
from capstan_testkit.harness import Harness, running
from capstan_testkit.routes import assert_every_route_is_guarded, guarded_routes

TRICKS = ("..", "%2e%2e", "..%2f..%2fetc", "a%00b", "a\\b", "%5c..%5c", "~root", "A" * 300, "nöme", "%25%32%65")


@pytest.fixture(params=SERVICES)
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    """Each service in turn, with no job environment and no peers."""
    package = f"capstan_{request.param.replace('-', '_')}"
    settings = importlib.import_module(f"{package}.settings").Settings
    build = importlib.import_module(f"{package}.app").build
    fields: dict[str, Any] = {"model_server_port": 0} if request.param == "inference" else {}
    async with running(settings, build, tmp_path, pythons={}, **fields) as found:
        yield found


async def test_no_route_answers_a_stranger(harness: Harness) -> None:
    assert await assert_every_route_is_guarded(harness) >= 7


async def test_a_viewer_can_change_nothing(harness: Harness) -> None:
    reads_by_post = ("/online-features", "/explain", "/session-links", "/mlflow")
    for method, path in guarded_routes(harness.app):
        if method == "GET" or any(word in path for word in reads_by_post):
            continue
        answer = await harness.viewer.request(method, path)
        assert answer.status_code == 403, f"{method} {path} answered {answer.status_code} to a viewer"


def files_of(harness: Harness) -> list[Path]:
    """Files below the home folder, without the database's own."""
    return sorted(path for path in harness.home.rglob("*") if path.is_file() and path.parent.name != "db")


@pytest.mark.parametrize("trick", TRICKS)
async def test_path_tricks_end_in_a_problem(harness: Harness, trick: str) -> None:
    before = files_of(harness)
    for method, path in guarded_routes(harness.app):
        if "/projects/default" not in path or method not in ("GET", "PUT"):
            continue
        for twisted in (path.replace("default", trick, 1), f"{path.rsplit('/', 1)[0]}/{trick}"):
            answer = await harness.admin.request(method, twisted)
            if answer.status_code < 400:
                continue
            problem = Problem.model_validate_json(answer.content)
            assert answer.status_code < 500, f"{method} {twisted}: {problem}"
            assert str(harness.home) not in answer.text
    assert files_of(harness) == before


@pytest.mark.parametrize("body", [b"{", b"NaN", b'{"a": Infinity}', b"\xff\x00", b"[" * 50_000])
async def test_malformed_json_is_refused_everywhere(harness: Harness, body: bytes) -> None:
    for method, path in guarded_routes(harness.app):
        if method not in ("POST", "PUT") or any(word in path for word in ("/mlflow", "/batches", "/code")):
            continue
        headers = {"content-type": "application/json"}
        answer = await harness.service.request(method, path, content=body, headers=headers)
        if answer.status_code < 400:
            continue
        problem = Problem.model_validate_json(answer.content)
        assert answer.status_code < 500, f"{method} {path}: {problem}"
