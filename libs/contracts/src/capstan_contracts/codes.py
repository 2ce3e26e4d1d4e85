"""The stable error codes with their HTTP status and title. No pydantic here: the data plane answers with them too."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


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
    DAMAGED = "damaged"
    INTERNAL = "internal"

    @property
    def status(self) -> int:
        """The HTTP status (RFC 9110) that goes with the code."""
        return STATUS_AND_SUMMARY[self][0]

    @property
    def summary(self) -> str:
        """The `title` of a problem (RFC 9457): a short summary for people, the same for every error of this code."""
        return STATUS_AND_SUMMARY[self][1]


STATUS_AND_SUMMARY: Final[dict[Code, tuple[int, str]]] = {
    Code.UNAUTHENTICATED: (401, "Authentication required"),
    Code.FORBIDDEN: (403, "Permission denied"),
    Code.NOT_FOUND: (404, "Not found"),
    Code.ROUTE_NOT_FOUND: (404, "No such route"),
    Code.METHOD_NOT_ALLOWED: (405, "Method not allowed"),
    Code.BAD_REQUEST: (400, "The request cannot be carried out"),
    Code.MALFORMED_JSON: (400, "The body is not valid JSON"),
    Code.INVALID_BODY: (422, "The request is not valid"),
    Code.BODY_TOO_LARGE: (413, "The body is too large"),
    Code.UNSUPPORTED_MEDIA: (415, "Unsupported media type"),
    Code.INVALID_NAME: (422, "The name is not valid"),
    Code.INVALID_DATA: (400, "The data cannot be read"),
    Code.INVALID_SPEC: (400, "The specification is not valid"),
    Code.NOT_BUILT_YET: (400, "Not supported yet"),
    Code.CONFLICT: (409, "Conflict with the current state"),
    Code.IDEMPOTENCY_MISMATCH: (409, "The Idempotency-Key was used for another request"),
    Code.GATES_REFUSED: (409, "The gates refused the version"),
    Code.PROTECTED: (403, "Protected against this change"),
    Code.EGRESS_REFUSED: (400, "The address is not allowed"),
    Code.OVERLOADED: (503, "Overloaded"),
    Code.DEADLINE: (504, "Deadline exceeded"),
    Code.NOT_READY: (503, "Not ready"),
    Code.UPSTREAM: (502, "Another system failed"),
    Code.DAMAGED: (500, "Stored bytes are damaged"),
    Code.INTERNAL: (500, "Internal error"),
}
