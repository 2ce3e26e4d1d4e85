"""What is wrong with a database, as one sentence that names the setting and says what to do."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

SETTING = "CAPSTAN_DATABASE_URL"
_NOT_NOW = ("08", "57P", "53")
"""SQLSTATE classes and codes that pass by themselves: connection, shutting down or starting up, out of resources."""
_REFUSED = {"28P01", "28000"}
_SQLITE = {
    "unable to open": "cannot be opened; may this user write to the folder? CAPSTAN_HOME names it",
    "readonly": "cannot be written to; mount the volume of CAPSTAN_HOME so that this user may write",
    "disk is full": "cannot grow because its volume is full; give the volume of CAPSTAN_HOME more room",
    "disk i/o": "cannot be read or written; look at the volume of CAPSTAN_HOME",
}


@dataclass(frozen=True)
class Diagnosis:
    """The sentence, and whether waiting may help."""

    sentence: str
    passing: bool


class DatabaseUnusable(Exception):
    """The database cannot be used; the text is a sentence for the one who installs."""


def foreign_errors(url: URL) -> tuple[type[Exception], ...]:
    """What using this database may raise. The driver's own errors come through unwrapped while it connects."""
    if url.get_backend_name() == "sqlite":
        return (DBAPIError, OSError)
    driver: Any = importlib.import_module("asyncpg")  # only where it is used: it takes 0.1 s
    return (DBAPIError, OSError, driver.PostgresError, driver.InterfaceError)


def diagnose(error: BaseException, url: URL) -> Diagnosis | None:
    """The diagnosis behind an error of the database; None for an error of the statement."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if url.get_backend_name() == "sqlite":
        text = str(cause).lower()
        found = next((what for sign, what in _SQLITE.items() if sign in text), None)
        return None if found is None else Diagnosis(f"the database file {url.database} {found}", passing=True)
    place = f"{url.host or url.query.get('host', 'localhost')}:{url.port or 5432}"
    state = str(getattr(cause, "sqlstate", None) or "")
    if state in _REFUSED:
        return Diagnosis(
            f"the database server at {place} refuses user {url.username!r}; "
            f"set {SETTING} to a URL with the right name and password",
            passing=False,
        )
    if state == "3D000":
        return Diagnosis(
            f"the database server at {place} has no database {url.database!r}; create it or name another in {SETTING}",
            passing=False,
        )
    if state == "42501":
        return Diagnosis(
            f"user {url.username!r} lacks rights in database {url.database!r} at {place}; "
            f"make it the owner, or name another user in {SETTING}",
            passing=False,
        )
    gone = isinstance(error, DBAPIError) and error.connection_invalidated
    if gone or isinstance(cause, OSError) or state.startswith(_NOT_NOW) or _closed(cause):
        return Diagnosis(
            f"the database at {place} cannot be reached; does it run, and is {SETTING} right?", passing=True
        )
    return None


def _closed(cause: BaseException | None) -> bool:
    """The driver's word for a connection that ended under a statement; it has no SQLSTATE."""
    return "connection is closed" in str(cause) or "connection was closed" in str(cause)
