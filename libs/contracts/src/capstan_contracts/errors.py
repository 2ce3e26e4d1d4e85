"""Problem details for HTTP APIs (RFC 9457). The codes that clients may rely on are those of `codes`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from capstan_contracts.base import Lenient
from capstan_contracts.codes import Code

__all__ = ["Code", "FieldError", "Problem", "place_of"]


def place_of(location: Iterable[int | str]) -> str:
    """A place as people read it: `spec.gates[0].metric`."""
    place = ""
    for part in location:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    return place


class FieldError(Lenient):
    """One broken rule and the place where it is broken."""

    place: str
    rule: str


class Problem(Lenient):
    """An error body, `application/problem+json`: what happened, where, and what to do."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str = ""
    hint: str = ""
    instance: str = ""
    request_id: str = ""
    errors: list[FieldError] = Field(default_factory=list)
    figures: dict[str, Any] | None = None
