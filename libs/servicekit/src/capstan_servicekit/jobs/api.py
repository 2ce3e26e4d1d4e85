"""What a job function sees. Standard library only: this module is imported inside every job environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """One call: `input` is JSON, files are read by path and written below `scratch`. No credential, no network."""

    input: dict[str, Any]
    scratch: Path
    traceparent: str | None = None
    report: Callable[[int, int, str], None] = field(default=lambda done, total, message: None, repr=False)

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
