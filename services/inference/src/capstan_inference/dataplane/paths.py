"""Paths of KServe V1 and V2 (https://kserve.github.io/website/docs/reference/api), with a project before them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from capstan_contracts.roles import Role
from capstan_inference.dataplane.request_errors import METHOD_NOT_ALLOWED, ROUTE_NOT_FOUND, RequestError

_NAME = r"[a-z0-9][a-z0-9-]{0,62}"
_MODEL = rf"(?P<model>{_NAME})"
_VERSIONED = rf"/v2/models/{_MODEL}(?:/versions/(?P<version>[0-9]{{1,9}}))?"
#: Kind -> method, pattern, role; None: everybody.
_ROUTES: Final[dict[str, tuple[str, re.Pattern[str], Role | None]]] = {
    kind: (method, re.compile(rf"(?:/projects/(?P<project>{_NAME}))?{pattern}"), role)
    for kind, method, pattern, role in (
        ("v1_list", "GET", "/v1/models", Role.VIEWER),
        ("v1_model", "GET", f"/v1/models/{_MODEL}", Role.VIEWER),
        ("v1_predict", "POST", f"/v1/models/{_MODEL}:predict", Role.OPERATOR),
        ("v2_server", "GET", "/v2", Role.VIEWER),
        ("v2_live", "GET", "/v2/health/live", None),
        ("v2_ready", "GET", "/v2/health/ready", None),
        ("v2_model", "GET", _VERSIONED, Role.VIEWER),
        ("v2_model_ready", "GET", f"{_VERSIONED}/ready", Role.VIEWER),
        ("v2_infer", "POST", f"{_VERSIONED}/infer", Role.OPERATOR),
        ("metrics", "GET", "/metrics", None),
    )
}
_MOST_REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True)
class Route:
    """What a path asks for."""

    kind: str
    method: str
    role: Role | None
    project: str
    model: str = ""
    version: str | None = None

    @property
    def scope(self) -> str | None:
        """The project whose roles count; None where a role in any project will do."""
        return None if self.kind == "v2_server" else self.project


class Paths:
    """Resolves paths, remembering those it has seen."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], Route] = {}

    def resolve(self, method: str, path: str) -> Route:
        """The route, or a RequestError: no such route, or another method."""
        route = self._routes.get((method, path))
        return route if route is not None else self._resolve(method, path)

    def _resolve(self, method: str, path: str) -> Route:
        for kind, (wanted, pattern, role) in _ROUTES.items():
            match = pattern.fullmatch(path)
            if match is None:
                continue
            if wanted != method:
                raise RequestError(METHOD_NOT_ALLOWED, f"{path[:200]} takes {wanted}, not {method[:16]}")
            parts = match.groupdict()
            route = Route(
                kind, method, role, parts["project"] or "default", parts.get("model") or "", parts.get("version")
            )
            if len(self._routes) >= _MOST_REMEMBERED:
                self._routes.clear()
            self._routes[method, path] = route
            return route
        raise RequestError(ROUTE_NOT_FOUND, f"{method[:16]} {path[:200]} is not a route of the model server")
