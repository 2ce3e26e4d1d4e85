"""Routes that declare who may call them, checked before a body is read, and JSON as strict as RFC 8259."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from capstan_servicekit.errors import CapstanError
from capstan_servicekit.security.auth import Public, Requires, Ticket


def permission(route: APIRoute) -> Requires | Ticket | Public | None:
    """The permission that a route declares, or None."""

    def look(dependant: Dependant) -> Requires | Ticket | Public | None:
        if isinstance(dependant.call, Requires | Ticket | Public):
            return dependant.call
        return next((found for child in dependant.dependencies if (found := look(child))), None)

    return look(route.dependant)


class StrictRequest(Request):
    """JSON as RFC 8259 has it: no NaN, no Infinity, no duplicate keys."""

    async def json(self) -> Any:
        """The parsed body."""
        if not hasattr(self, "_json"):
            body = await self.body()
            try:
                self._json = json.loads(body, parse_constant=_refuse_constant, object_pairs_hook=_unique)
            except json.JSONDecodeError:
                raise
            except (ValueError, RecursionError) as error:  # no UTF-8, or an integer of more than 4300 digits
                raise json.JSONDecodeError(f"not JSON: {type(error).__name__}", "", 0) from error
        return self._json


def _refuse_constant(name: str) -> Any:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise json.JSONDecodeError("an object has the same key twice", "", 0)
    return result


class SecuredRoute(APIRoute):
    """Checks the permission before the body is read or parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind the check."""
        inner, declared = super().get_route_handler(), permission(self)

        async def handler(request: Request) -> Response:
            if isinstance(declared, Requires):
                declared(request)
            elif isinstance(declared, Ticket):
                await declared(request)
            try:
                return await inner(StrictRequest(request.scope, request.receive))
            except HTTPException as error:
                # FastAPI makes a 400 of whatever happens while a body is read; one that is too large is a 413.
                if isinstance(error.__cause__, CapstanError):
                    raise error.__cause__ from None
                raise

        return handler


class Router(APIRouter):
    """The router that every service uses: its routes are `SecuredRoute`s."""

    def __init__(self, *, prefix: str = "", tags: list[str] | None = None) -> None:
        super().__init__(prefix=prefix, tags=list(tags or []), route_class=SecuredRoute)


def declared_routes(routers: Iterable[APIRouter]) -> list[SecuredRoute]:
    """All routes; RuntimeError for one that is not secured or declares no permission."""
    found: list[SecuredRoute] = []
    for router in routers:
        for route in router.routes:
            if not isinstance(route, SecuredRoute) or permission(route) is None:
                raise RuntimeError(
                    f"the route {getattr(route, 'path', route)!r} declares no permission: make its router a "
                    "servicekit http.routing.Router, and give it Viewer, Operator, Admin, ServiceIdentity or Anybody"
                )
            found.append(route)
    return found
