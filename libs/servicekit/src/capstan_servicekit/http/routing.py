"""Routes that declare who may call them, checked before a body is read, and JSON as strict as RFC 8259."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from capstan_contracts.errors import FieldError
from capstan_servicekit.errors import BadRequest, CapstanError
from capstan_servicekit.security.auth import Public, Requires, Ticket

_ESCAPE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair
    r"|\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
"""Escapes of JSON, in turn; the group is one that stands for no character that can be stored."""
_NO_NUL: Final = "no U+0000"


def permission(route: APIRoute) -> Requires | Ticket | Public | None:
    """The permission that a route declares, or None."""

    def look(dependant: Dependant) -> Requires | Ticket | Public | None:
        if isinstance(dependant.call, Requires | Ticket | Public):
            return dependant.call
        return next((found for child in dependant.dependencies if (found := look(child))), None)

    return look(route.dependant)


class StrictRequest(Request):
    """JSON as RFC 8259 has it: UTF-8, no NaN, no Infinity, no duplicate keys.

    And strings that every store can keep as they are: no half of a surrogate pair, which is no character and cannot be
    written as UTF-8, and no U+0000, which PostgreSQL does not take.
    """

    async def json(self) -> Any:
        """The parsed body."""
        if not hasattr(self, "_json"):
            body = await self.body()
            try:
                text = body.decode("utf-8")
                self._json = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
            except json.JSONDecodeError:
                raise
            except (ValueError, RecursionError) as error:  # no UTF-8, or an integer of more than 4300 digits
                raise json.JSONDecodeError(f"not JSON: {type(error).__name__}", "", 0) from error
            if "\\u" in text:  # nothing else writes what cannot be kept
                refuse_unkept(text)
        return self._json


def _refuse_constant(name: str) -> Any:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise json.JSONDecodeError("an object has the same key twice", "", 0)
    return result


def refuse_unkept(text: str) -> None:
    """JSONDecodeError at the first escape of a text, known to be JSON, that stands for no storable character.

    That is half of a surrogate pair, or U+0000.
    """
    for escape in _ESCAPE.finditer(text):
        if (code := escape[1]) is None:
            continue
        what = "U+0000, which no store keeps" if code == "0000" else "half of a surrogate pair, no character"
        raise json.JSONDecodeError(f"a string holds {what} (\\u{code.lower()})", text, escape.start())


def refuse_nul(request: Request) -> None:
    """BadRequest where the path or the query of a request holds U+0000."""
    if "\0" in request.scope["path"]:
        raise BadRequest("The path holds U+0000, which no name does", errors=[FieldError(place="path", rule=_NO_NUL)])
    for name, value in request.query_params.multi_items():
        if "\0" in name or "\0" in value:
            place = "query" if "\0" in name else f"query.{name}"
            raise BadRequest(
                f"{place} holds U+0000, which no store keeps", errors=[FieldError(place=place, rule=_NO_NUL)]
            )


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
            refuse_nul(request)
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
