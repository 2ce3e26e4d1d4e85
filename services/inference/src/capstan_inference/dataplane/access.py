"""Who may call the model server: the same principals file and roles as every service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from capstan_contracts.roles import Role
from capstan_inference.dataplane.request_errors import FORBIDDEN, UNAUTHENTICATED, RequestError
from capstan_servicekit.security.principals import EVERY_PROJECT, Principal, Principals

Headers = list[tuple[bytes, bytes]]
#: A revoked token is refused after so many seconds at the latest; until then its check costs one dictionary look-up.
_REMEMBERED_S: Final = 0.25
_MOST_REMEMBERED: Final = 4096


class Access:
    """Checks bearer tokens."""

    def __init__(self, file: Path) -> None:
        self._principals = Principals(file)
        self._allowed: set[tuple[bytes, Role, str | None]] = set()
        self._until = 0.0

    def sees_all(self, headers: Headers) -> bool:
        """Whether a token came that reads every project; RequestError for one that does not."""
        if not any(name == b"authorization" for name, _ in headers):
            return False
        self.check(headers, Role.VIEWER, EVERY_PROJECT)
        return True

    def check(self, headers: Headers, role: Role, project: str | None) -> None:
        """RequestError unless the caller has the role in the project (anywhere, when none is named)."""
        header = b""
        for name, value in headers:
            if name == b"authorization":
                header = value
                break
        now = time.monotonic()
        if now > self._until or len(self._allowed) > _MOST_REMEMBERED:
            self._allowed, self._until = set(), now + _REMEMBERED_S
        if (header, role, project) in self._allowed:
            return
        principal = self._identify(header)
        roles = principal.roles.values()
        allowed = principal.may(role, project) if project is not None else any(held.includes(role) for held in roles)
        if not allowed:
            where = f"in project {project!r}" if project is not None else "in any project"
            hint = "Ask an administrator of the project for the role, or use another token."
            raise RequestError(FORBIDDEN, f"{principal.id} is not {role.value} {where}", hint=hint)
        self._allowed.add((header, role, project))

    def _identify(self, header: bytes) -> Principal:
        scheme, _, token = header.decode("latin-1").partition(" ")
        principal = self._principals.authenticate(token.strip()) if scheme.lower() == "bearer" else None
        if principal is None:
            detail = "No valid token came with the request" if header else "The request carries no token"
            hint = "Send `Authorization: Bearer <token>`; on a laptop the token is in secrets/token of the home folder."
            raise RequestError(UNAUTHENTICATED, detail, hint=hint)
        return principal
