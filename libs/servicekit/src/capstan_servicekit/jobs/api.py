"""What a job function sees, and what both of its ends know. Standard library only: every job environment has it."""

from __future__ import annotations

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


def fields_of(value: object) -> dict[str, Any]:
    """The fields of a dataclass by name, as they are: what one end sends and `kind(**...)` at the other reads."""
    return {entry.name: getattr(value, entry.name) for entry in fields(value)}  # type: ignore[arg-type]
