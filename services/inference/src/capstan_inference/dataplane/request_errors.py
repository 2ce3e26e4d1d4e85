"""Why a request is not answered: problem+json (RFC 9457) with the platform's stable codes."""

from __future__ import annotations

from typing import Any, Final

import orjson

MALFORMED_JSON: Final = "malformed-json"
INVALID_BODY: Final = "invalid-body"
BODY_TOO_LARGE: Final = "body-too-large"
UNSUPPORTED_MEDIA: Final = "unsupported-media"
NOT_FOUND: Final = "not-found"
ROUTE_NOT_FOUND: Final = "route-not-found"
METHOD_NOT_ALLOWED: Final = "method-not-allowed"
UNAUTHENTICATED: Final = "unauthenticated"
FORBIDDEN: Final = "forbidden"
OVERLOADED: Final = "overloaded"
DEADLINE: Final = "deadline-exceeded"
NOT_READY: Final = "not-ready"
INTERNAL: Final = "internal"
INVALID_DATA: Final = "invalid-data"
UPSTREAM: Final = "upstream-unavailable"

#: Code -> status and title.
KINDS: Final = {
    MALFORMED_JSON: (400, "The body is not JSON"),
    INVALID_BODY: (422, "The request does not have the right shape"),
    BODY_TOO_LARGE: (413, "Too large"),
    UNSUPPORTED_MEDIA: (415, "Unsupported media type"),
    NOT_FOUND: (404, "Not found"),
    ROUTE_NOT_FOUND: (404, "No such route"),
    METHOD_NOT_ALLOWED: (405, "Method not allowed"),
    UNAUTHENTICATED: (401, "Who are you?"),
    FORBIDDEN: (403, "Not allowed"),
    OVERLOADED: (503, "Overloaded"),
    DEADLINE: (504, "Too late"),
    NOT_READY: (503, "Not ready"),
    INTERNAL: (500, "Internal error"),
    INVALID_DATA: (400, "The data cannot be read"),
    UPSTREAM: (502, "Another system failed"),
}


class RequestError(Exception):
    """An expected failure of one request: a code, what happened, where, and what to do."""

    def __init__(self, code: str, detail: str, *, place: str = "", rule: str = "", hint: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.place = place
        self.rule = rule or detail
        self.hint = hint

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return KINDS[self.code][0]

    def body(self, instance: str) -> bytes:
        """The problem, and `error` for clients of the Open Inference Protocol, which look for it."""
        status, title = KINDS[self.code]
        problem: dict[str, Any] = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "code": self.code,
            "detail": self.detail,
            "hint": self.hint,
            "instance": instance,
            "errors": [{"place": self.place, "rule": self.rule}] if self.place else [],
            "error": self.detail,
        }
        return orjson.dumps(problem)


def wrong(place: str, rule: str, hint: str = "") -> RequestError:
    """A body of the wrong shape: which place breaks which rule."""
    return RequestError(INVALID_BODY, f"{place}: {rule}", place=place, rule=rule, hint=hint)
