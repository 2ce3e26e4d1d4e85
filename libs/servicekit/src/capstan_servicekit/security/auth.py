"""Who is calling, and may they? Deny by default: a service with a route that declares no permission does not start."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi import Path as PathParameter

from capstan_contracts.ids import NAME_PATTERN
from capstan_contracts.roles import Role
from capstan_servicekit.errors import Forbidden, Unauthenticated
from capstan_servicekit.security.principals import (
    EVERY_PROJECT,
    TOKEN_PREFIX,
    Principal,
    Principals,
    new_token,
    token_digest,
    write_secret,
)

__all__ = [
    "EVERY_PROJECT",
    "TOKEN_PREFIX",
    "Admin",
    "Anybody",
    "Operator",
    "Principal",
    "Principals",
    "ProjectName",
    "Public",
    "Requires",
    "ServiceIdentity",
    "Ticket",
    "Viewer",
    "ViewerByToken",
    "identify",
    "new_token",
    "token_digest",
    "write_secret",
]

ProjectName = Annotated[str, PathParameter(pattern=NAME_PATTERN, description="the project (tenant)")]


@dataclass(frozen=True)
class Requires:
    """The permission of a route: a role in the project that its path names (a role anywhere, when it names none)."""

    role: Role
    by_token: bool = False
    """Whether a browser session, which is one by its cookie alone, is not enough."""

    def __call__(self, request: Request) -> Principal:
        """Let the principal through, or say why not."""
        principal = identify(request)
        if self.by_token and "authorization" not in request.headers:
            raise Forbidden(
                "A browser session may not do this", hint="Send `Authorization: Bearer <token>`; a cookie reads only."
            )
        project = request.path_params.get("project")
        if project is None:
            allowed = any(role.includes(self.role) for role in principal.roles.values())
        else:
            allowed = principal.may(self.role, project)
        if not allowed:
            where = f"in project {project!r}" if project else "in any project"
            raise Forbidden(
                f"{principal.id} is not {self.role.value} {where}",
                hint="Ask an administrator of the project for the role, or use another token.",
            )
        return principal


class Ticket(ABC):
    """The permission of a route that is for no principal, but for the bearer of a token that opens one thing only."""

    @abstractmethod
    async def admits(self, token: str, request: Request) -> bool:
        """Whether this token opens what the request's path names."""

    async def __call__(self, request: Request) -> None:
        """Let the bearer through. A principal is told that it is known here, and may not."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not await self.admits(token.strip(), request):
            raise Forbidden(f"{identify(request).id} does not hold the token that this route asks for")


class Public:
    """The declared absence of a permission: health, metrics, and turning a one-time code into a session."""

    def __call__(self) -> None:
        """Everybody."""


def identify(request: Request) -> Principal:
    """The principal of a request: bearer token first, then session cookie; Unauthenticated."""
    principals: Principals = request.app.state.principals
    header = request.headers.get("authorization", "")
    scheme, _, token = header.partition(" ")
    found = None
    if header:
        found = principals.authenticate(token.strip()) if scheme.lower() == "bearer" else None
    elif cookie := request.cookies.get(f"capstan_{request.app.state.service}"):
        found = principals.session(cookie)
    if found is None:
        raise Unauthenticated(
            "No valid token came with the request" if header else "The request carries no token",
            hint="Send `Authorization: Bearer <token>`; on a laptop the token is in secrets/token of the home folder.",
        )
    return found


Viewer = Annotated[Principal, Depends(Requires(Role.VIEWER))]
ViewerByToken = Annotated[Principal, Depends(Requires(Role.VIEWER, by_token=True))]
Operator = Annotated[Principal, Depends(Requires(Role.OPERATOR))]
Admin = Annotated[Principal, Depends(Requires(Role.ADMIN))]
ServiceIdentity = Annotated[Principal, Depends(Requires(Role.SERVICE))]
Anybody = Annotated[None, Depends(Public())]
