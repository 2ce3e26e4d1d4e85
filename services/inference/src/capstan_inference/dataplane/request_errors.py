"""Why a request is not answered: problem+json (RFC 9457) with the platform's stable codes."""

from __future__ import annotations

from typing import Any, Final

import orjson

from capstan_contracts.codes import Code

MALFORMED_JSON: Final = Code.MALFORMED_JSON
INVALID_BODY: Final = Code.INVALID_BODY
BODY_TOO_LARGE: Final = Code.BODY_TOO_LARGE
UNSUPPORTED_MEDIA: Final = Code.UNSUPPORTED_MEDIA
NOT_FOUND: Final = Code.NOT_FOUND
ROUTE_NOT_FOUND: Final = Code.ROUTE_NOT_FOUND
METHOD_NOT_ALLOWED: Final = Code.METHOD_NOT_ALLOWED
UNAUTHENTICATED: Final = Code.UNAUTHENTICATED
FORBIDDEN: Final = Code.FORBIDDEN
OVERLOADED: Final = Code.OVERLOADED
DEADLINE: Final = Code.DEADLINE
NOT_READY: Final = Code.NOT_READY
INTERNAL: Final = Code.INTERNAL
INVALID_DATA: Final = Code.INVALID_DATA
UPSTREAM: Final = Code.UPSTREAM


class RequestError(Exception):
    """An expected failure of one request: a code, what happened, where, and what to do."""

    def __init__(self, code: Code, detail: str, *, place: str = "", rule: str = "", hint: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.place = place
        self.rule = rule or detail
        self.hint = hint

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return self.code.status

    def body(self, instance: str) -> bytes:
        """The problem, and `error` for clients of the Open Inference Protocol, which look for it."""
        problem: dict[str, Any] = {
            "type": "about:blank",
            "title": self.code.summary,
            "status": self.code.status,
            "code": self.code.value,
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
