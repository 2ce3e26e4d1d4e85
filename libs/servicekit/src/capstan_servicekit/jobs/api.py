"""What a job function sees, and what both of its ends know. Standard library only: every job environment has it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class JobKind(Generic[Given, Made]):
    """A job as service and worker know it: `function` (`module:function`) runs in the environment of `group`.

    `given` and `made` are frozen dataclasses whose fields JSON can hold: text, numbers, lists and dicts of these, None.
    """

    group: str
    function: str
    given: type[Given]
    made: type[Made]


@dataclass(frozen=True)
class Job:
    """One call: `input` is JSON, files are read by path and written below `scratch`. No credential, no network."""

    input: dict[str, Any]
    scratch: Path
    traceparent: str | None = None
    report: Callable[[int, int, str], None] = field(default=lambda done, total, message: None, repr=False)

    def read(self, kind: type[Given]) -> Given:
        """The input as the dataclass that the service filled in. TypeError names a field too many or too few."""
        return kind(**self.input)

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Tell the service how far the job is."""
        self.report(done, total, message)


class JobRefused(Exception):
    """The input cannot be worked on, and trying again will not help: the caller is told `detail`.

    `errors` are (place, rule) pairs.
    """

    def __init__(self, detail: str, *, errors: list[tuple[str, str]] | None = None, code: str = "invalid-data") -> None:
        super().__init__(detail)
        self.detail, self.errors, self.code = detail, errors or [], code


class NotImported(BaseException):
    """To the worker: import these modules, then start the job again. No `except Exception` may stop it."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        super().__init__(*modules)
        self.modules = modules


_forked = False


def in_a_fork() -> None:
    """This process was forked for one job: what it imports is lost with it."""
    global _forked
    _forked = True


def need(*modules: str) -> None:
    """Import heavy modules where they outlast the job: call it where they are first needed, before anything is written.

    The job starts again from its beginning when one of them was missing. A job's own module names in `WARM` all that
    it may ask for.
    """
    if _forked and (missing := tuple(module for module in modules if module not in sys.modules)):
        raise NotImported(missing)
    for module in modules:
        importlib.import_module(module)


def fields_of(value: object) -> dict[str, Any]:
    """The fields of a dataclass by name, as they are: what one end sends and `kind(**...)` at the other reads."""
    return {entry.name: getattr(value, entry.name) for entry in fields(value)}  # type: ignore[arg-type]
