"""Every route of a service: a declared permission, and none lets a stranger in."""

from __future__ import annotations

import re

import httpx
from fastapi import FastAPI

from capstan_servicekit.http.routing import SecuredRoute, permission
from capstan_servicekit.security.auth import Public
from capstan_testkit.harness import Harness

_EXAMPLES = {"project": "default", "version": "0" * 64, "digest": "0" * 64, "batch": "0" * 64}
_UUID = "01890000-0000-7000-8000-000000000000"


def guarded_routes(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path with example values) of every route that is not public."""
    declared: list[SecuredRoute] = app.state.declared
    guarded = []
    for route in declared:
        if not isinstance(permission(route), Public):
            path = concrete(route.path)
            guarded += [(method, path) for method in sorted(route.methods or ())]
    return guarded


def concrete(path: str) -> str:
    """The path of a route with example values."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: _EXAMPLES.get(match[1], _UUID), path)


async def assert_every_route_is_guarded(harness: Harness) -> int:
    """Call each route with no, a garbage and a foreign token; how many routes were called."""
    routes = guarded_routes(harness.app)
    assert routes
    for method, path in routes:
        for client, headers, allowed in (
            (harness.anonymous, {}, {401}),
            (harness.anonymous, {"authorization": "Bearer nonsense"}, {401}),
            (harness.anonymous, {"authorization": "Basic dTpw"}, {401}),
            (harness.foreign, {}, {403} if "/projects/default" in path else {200, 303, 400, 403, 404, 422, 502, 503}),
        ):
            response = await client.request(method, path, headers=headers)
            assert response.status_code in allowed, (
                f"{method} {path} answered {response.status_code} to {headers or 'foreign'}"
            )
            _assert_problem(response)
    return len(routes)


def _assert_problem(response: httpx.Response) -> None:
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        body = response.json()
        assert body["code"] and body["title"] and body["status"] == response.status_code
        assert "Traceback" not in response.text


__all__ = ["assert_every_route_is_guarded", "concrete", "guarded_routes"]
