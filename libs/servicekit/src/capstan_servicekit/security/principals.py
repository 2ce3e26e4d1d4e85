"""Principals, their tokens and their file. No framework here: the model server uses it too.

One file (laptop: home/secrets/principals.json, mode 0600; cluster: a mounted Secret) holds sha256 digests of tokens,
never tokens. It is read again when it changes.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from capstan_contracts.roles import Role

TOKEN_PREFIX = "cap_"
EVERY_PROJECT = "*"


@dataclass(frozen=True)
class Principal:
    """Somebody or something that calls, with a role per project (`*` = every project)."""

    id: str
    kind: Literal["user", "service", "anonymous"]
    roles: Mapping[str, Role]

    def role_in(self, project: str) -> Role | None:
        """The role in a project, if any."""
        return self.roles.get(project) or self.roles.get(EVERY_PROJECT)

    def may(self, role: Role, project: str) -> bool:
        """Whether the role in `project` includes `role`."""
        mine = self.role_in(project)
        return mine is not None and mine.includes(role)


def new_token() -> str:
    """A fresh bearer token, 256 bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    """What the principals file keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def write_secret(path: Path, content: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    draft.write_text(content)
    draft.rename(path)


class Principals:
    """The principals file, and browser sessions made from its principals."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp: tuple[float, int] = (0.0, -1)
        self._by_digest: dict[str, Principal] = {}
        self._links: dict[str, tuple[float, Principal, str]] = {}
        self._sessions: dict[str, tuple[float, Principal]] = {}

    def authenticate(self, token: str) -> Principal | None:
        """The principal with this bearer token."""
        self._refresh()
        return self._by_digest.get(token_digest(token))

    def persons(self) -> list[str]:
        """Ids of the people that have tokens."""
        self._refresh()
        return sorted(found.id for found in self._by_digest.values() if found.kind == "user")

    def new_link(self, principal: Principal, path: str, *, seconds: float = 60) -> str:
        """A one-time code that opens a browser session, for reading only."""
        now = time.monotonic()
        self._links = {code: link for code, link in self._links.items() if link[0] > now}
        code = secrets.token_urlsafe(32)
        reader = replace(principal, roles=dict.fromkeys(principal.roles, Role.VIEWER))
        self._links[code] = (now + seconds, reader, path)
        return code

    def redeem(self, code: str, *, seconds: float = 8 * 3600) -> tuple[str, str] | None:
        """(session cookie, path) for a code, once; None when it is unknown, used or too old."""
        link = self._links.pop(code, None)
        if link is None or link[0] < time.monotonic():
            return None
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = (time.monotonic() + seconds, link[1])
        return cookie, link[2]

    def session(self, cookie: str) -> Principal | None:
        """The principal of a session cookie."""
        found = self._sessions.get(cookie)
        if found is None or found[0] < time.monotonic():
            self._sessions.pop(cookie, None)
            return None
        return found[1]

    def _refresh(self) -> None:
        try:
            info = self._file.stat()
        except FileNotFoundError:
            self._by_digest, self._stamp = {}, (0.0, -1)
            return
        stamp = (info.st_mtime, info.st_size)
        if stamp == self._stamp:
            return
        if info.st_mode & (stat.S_IRWXO):
            raise PermissionError(f"{self._file} can be read by everybody; make it mode 0600")
        entries = json.loads(self._file.read_text())["principals"]
        self._by_digest = {
            entry["token_sha256"]: Principal(
                entry["id"], entry["kind"], {project: Role(role) for project, role in entry["roles"].items()}
            )
            for entry in entries
        }
        self._stamp = stamp
