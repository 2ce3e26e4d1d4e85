"""Principals, their tokens and their file. No framework here: the model server uses it too.

One file (laptop: home/secrets/principals.json, mode 0600; cluster: a mounted Secret) holds sha256 digests of tokens,
never tokens. It is read again when it changes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from capstan_contracts.roles import Role

log = logging.getLogger(__name__)
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
    """The principals file, and browser sessions of its principals.

    A file that cannot be read as a whole, say because it is being written, changes nothing: what the last good one said
    holds on. `look` says what is wrong with it. One that is gone knows nobody.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp: tuple[int, ...] | None = None
        self._by_digest: dict[str, Principal] = {}
        self._readers: dict[str, Principal] = {}
        self._links: dict[str, tuple[float, str, str]] = {}
        self._sessions: dict[str, tuple[float, str]] = {}
        self._problem: str | None = None
        self.loaded = False
        """Whether there has been a good file, or none: who is known is then certain."""

    def authenticate(self, token: str) -> Principal | None:
        """The principal with this bearer token."""
        self.look()
        return self._by_digest.get(token_digest(token))

    def persons(self) -> list[str]:
        """Ids of the people that have tokens."""
        self.look()
        return sorted(principal.id for principal in self._by_digest.values() if principal.kind == "user")

    def new_link(self, principal: str, path: str, *, seconds: float = 60) -> str:
        """A one-time code that opens a browser session of the principal with this id, for reading only."""
        now = time.monotonic()
        self._links = {code: link for code, link in self._links.items() if link[0] > now}
        code = secrets.token_urlsafe(32)
        self._links[code] = (now + seconds, principal, path)
        return code

    def redeem(self, code: str, *, seconds: float = 8 * 3600) -> tuple[str, str] | None:
        """(session cookie, path) for a code, once; None when it is unknown, used or too old."""
        now = time.monotonic()
        link = self._links.pop(code, None)
        if link is None or link[0] < now:
            return None
        self._sessions = {cookie: session for cookie, session in self._sessions.items() if session[0] >= now}
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = (now + seconds, link[1])
        return cookie, link[2]

    def session(self, cookie: str) -> Principal | None:
        """The principal of a session cookie as the file has it now, as a viewer. One that is gone ends the session."""
        found = self._sessions.get(cookie)
        if found is None:
            return None
        self.look()
        reader = self._readers.get(found[1])
        if reader is None or found[0] < time.monotonic():
            del self._sessions[cookie]
            return None
        return reader

    def look(self) -> str | None:
        """Read the file again where it has changed; what is wrong with it, as a sentence."""
        try:
            info = self._file.stat()
        except FileNotFoundError:
            self._take({}, None)
            return None
        except OSError as error:
            return self._keep(f"cannot be read: {error.strerror}", None)
        stamp = (info.st_ino, info.st_mtime_ns, info.st_ctime_ns, info.st_size)
        if stamp == self._stamp:
            return self._problem
        if info.st_mode & stat.S_IRWXO:
            return self._keep("can be read by everybody; make it mode 0600", stamp)
        try:
            self._take(_parsed(self._file.read_text("utf-8")), stamp)
        except OSError as error:
            return self._keep(f"cannot be read: {error.strerror}", None)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return self._keep(f"is no whole list of principals ({type(error).__name__}); write it anew", stamp)
        return None

    def _take(self, by_digest: dict[str, Principal], stamp: tuple[int, ...] | None) -> None:
        self._by_digest, self._readers = by_digest, _readers(by_digest.values())
        self._stamp, self._problem, self.loaded = stamp, None, True

    def _keep(self, what: str, stamp: tuple[int, ...] | None) -> str:
        problem = f"{self._file} {what}" + ("; what it said before holds on" if self.loaded else "")
        if problem != self._problem:
            log.warning("principals.kept: %s", problem)
        self._stamp, self._problem = stamp, problem
        return problem


def _parsed(text: str) -> dict[str, Principal]:
    """Principals by the digest of their token. ValueError, KeyError, TypeError, AttributeError for another form."""
    found = {}
    for entry in json.loads(text)["principals"]:
        roles = {str(project): Role(role) for project, role in entry["roles"].items()}
        found[str(entry["token_sha256"])] = Principal(str(entry["id"]), entry["kind"], roles)
    return found


def _readers(principals: Iterable[Principal]) -> dict[str, Principal]:
    """By id, as viewers. Somebody with several tokens reads what each of them may read."""
    found: dict[str, Principal] = {}
    for principal in principals:
        before = found.get(principal.id)
        projects = principal.roles if before is None else before.roles.keys() & principal.roles.keys()
        found[principal.id] = replace(principal, roles=dict.fromkeys(projects, Role.VIEWER))
    return found
