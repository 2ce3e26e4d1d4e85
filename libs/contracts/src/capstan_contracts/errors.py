"""Problem details for HTTP APIs (RFC 9457) and the stable codes that clients may rely on."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from pydantic import Field

from capstan_contracts.base import Lenient


def place_of(location: Iterable[int | str]) -> str:
    """A place as people read it: `spec.gates[0].metric`."""
    found = ""
    for part in location:
        found += f"[{part}]" if isinstance(part, int) else f".{part}" if found else part
    return found


class Code(StrEnum):
    """Stable error codes. A published code is never renamed."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    ROUTE_NOT_FOUND = "route-not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    BAD_REQUEST = "bad-request"
    MALFORMED_JSON = "malformed-json"
    INVALID_BODY = "invalid-body"
    BODY_TOO_LARGE = "body-too-large"
    UNSUPPORTED_MEDIA = "unsupported-media"
    INVALID_NAME = "invalid-name"
    INVALID_DATA = "invalid-data"
    INVALID_SPEC = "invalid-spec"
    NOT_BUILT_YET = "not-built-yet"
    CONFLICT = "conflict"
    IDEMPOTENCY_MISMATCH = "idempotency-mismatch"
    GATES_REFUSED = "gates-refused"
    PROTECTED = "protected"
    EGRESS_REFUSED = "egress-refused"
    OVERLOADED = "overloaded"
    DEADLINE = "deadline-exceeded"
    NOT_READY = "not-ready"
    UPSTREAM = "upstream-unavailable"
    INTERNAL = "internal"


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
