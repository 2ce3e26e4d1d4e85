"""A platform that answers from a table: the record and the token of a real one, and no process behind it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from typer.testing import CliRunner, Result

from capstan_client.cli import app
from capstan_client.platform.home import Home, Record
from capstan_client.platform.processes import started_at
from capstan_client.sdk import capstan, transport
from capstan_contracts.ids import SERVICES

Way = BaseModel | dict[str, Any] | list[Any] | httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


@dataclass
class FakePlatform:
    """What each route answers, and every request that came."""

    home: Home
    routes: dict[str, Way] = field(default_factory=dict)
    seen: list[httpx.Request] = field(default_factory=list)
    instead: dict[str, Way] = field(default_factory=dict)
    """What every route of a service answers, whatever was asked."""

    def answer(self, route: str, way: Way) -> None:
        """`GET training /runs`; a path begins below the project unless it begins with /v1."""
        self.routes[route] = way

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        path = request.url.path.removeprefix("/v1/projects/default")
        way = self.instead.get(request.url.host) or self.routes.get(f"{request.method} {request.url.host} {path}")
        if way is None:
            return problem(404, "not-found", f"there is no {path}")
        if isinstance(way, Exception):
            raise way
        if callable(way):
            return way(request)
        if isinstance(way, httpx.Response):
            return httpx.Response(way.status_code, headers=way.headers, content=way.content)
        if isinstance(way, BaseModel):
            return httpx.Response(200, content=way.model_dump_json())
        return httpx.Response(200, json=way)

    @staticmethod
    def refusal(status: int, code: str, detail: str, **more: Any) -> httpx.Response:
        """An error body of the platform."""
        return problem(status, code, detail, **more)

    def body(self, index: int = -1) -> Any:
        """The JSON that was sent with a request."""
        return json.loads(self.seen[index].content)

    def run(self, *arguments: str) -> Result:
        """The command in this process; anything raised but an exit is raised here."""
        done = CliRunner().invoke(app, list(arguments))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done


def problem(status: int, code: str, detail: str, **more: Any) -> httpx.Response:
    """An error body of the platform."""
    return httpx.Response(status, json={"title": "No", "status": status, "code": code, "detail": detail, **more})


@pytest.fixture
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    """A home in which no platform runs."""
    for name in ("CAPSTAN_TOKEN", "CAPSTAN_CONTEXT", "CAPSTAN_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CAPSTAN_HOME", str(tmp_path / "home"))
    home = Home(tmp_path / "home")
    home.prepare()
    return FakePlatform(home)


@pytest.fixture
def platform(nothing_runs: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePlatform]:
    """A running one, whose supervisor is this process."""
    pid, home = os.getpid(), nothing_runs.home
    urls = {name: f"http://{name}" for name in SERVICES}
    home.write_record(Record("ready", pid, started_at(pid) or 0.0, services=urls, model_server="http://model-server"))
    home.token_file.write_text("cap_people\n")
    monkeypatch.setattr(capstan, "http_client", lambda: httpx.AsyncClient(transport=httpx.MockTransport(nothing_runs)))
    monkeypatch.setattr(transport, "_PAUSES_S", (0.0,))
    yield nothing_runs
