"""Errors that a caller is told about, and their one mapping to problem+json (RFC 9457).

CapstanError
├── Invalid            422 the shape of the body or of a name is wrong
├── BadRequest         400 readable, but it cannot be done as asked
├── InvalidData        400 the bytes of a file are not what they claim to be
├── InvalidSpec        400 a declarative object breaks a rule
├── NotBuiltYet        400 a field of a station that does not exist yet
├── Unauthenticated    401
├── Forbidden          403
├── Protected          403 a guarded object would be changed by the wrong call
├── NotFound           404
├── Conflict           409
├── TooLarge           413
├── UnsupportedMedia   415
├── EgressRefused      400 an address that the platform does not call
├── Overloaded         503 with Retry-After
├── NotReady           503 a part that is needed is not there yet
└── Upstream           502 another system failed or answered nonsense
"""

from __future__ import annotations

from typing import Any, ClassVar

from capstan_contracts.errors import Code, FieldError, Problem


class CapstanError(Exception):
    """An expected failure: a stable code, what happened, what to do. Everything else is an internal error."""

    status: ClassVar[int] = 500
    code: ClassVar[Code] = Code.INTERNAL
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        hint: str = "",
        errors: list[FieldError] | None = None,
        figures: dict[str, Any] | None = None,
        code: Code | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.errors = errors or []
        self.figures = figures
        self.problem_code = code or self.code

    def problem(self, *, instance: str = "", request_id: str = "") -> Problem:
        """This error as a body."""
        return Problem(
            title=self.title,
            status=self.status,
            code=self.problem_code,
            detail=self.detail,
            hint=self.hint,
            errors=self.errors,
            figures=self.figures,
            instance=instance,
            request_id=request_id,
        )

    @property
    def permanent(self) -> bool:
        """Whether trying again cannot help."""
        return self.status < 500


class Invalid(CapstanError):
    """The shape of a body, parameter or name."""

    status, code, title = 422, Code.INVALID_BODY, "The request does not have the right shape"


class BadRequest(CapstanError):
    """Cannot be done as asked."""

    status, code, title = 400, Code.BAD_REQUEST, "The request cannot be carried out"


class InvalidData(CapstanError):
    """A file that is not what it claims to be."""

    status, code, title = 400, Code.INVALID_DATA, "The data cannot be read"


class InvalidSpec(CapstanError):
    """A declarative object that breaks a rule."""

    status, code, title = 400, Code.INVALID_SPEC, "The specification breaks a rule"


class NotBuiltYet(CapstanError):
    """A field of a station that does not exist yet."""

    status, code, title = 400, Code.NOT_BUILT_YET, "Not built yet"


class Unauthenticated(CapstanError):
    """No principal."""

    status, code, title = 401, Code.UNAUTHENTICATED, "Who are you?"


class Forbidden(CapstanError):
    """The principal may not."""

    status, code, title = 403, Code.FORBIDDEN, "Not allowed"


class Protected(CapstanError):
    """A guarded object would be changed by the wrong call."""

    status, code, title = 403, Code.PROTECTED, "Protected"


class NotFound(CapstanError):
    """No such thing in this project."""

    status, code, title = 404, Code.NOT_FOUND, "Not found"


class Conflict(CapstanError):
    """The state of the thing does not allow it."""

    status, code, title = 409, Code.CONFLICT, "Conflict"


class TooLarge(CapstanError):
    """A body over the limit."""

    status, code, title = 413, Code.BODY_TOO_LARGE, "Too large"


class UnsupportedMedia(CapstanError):
    """A content type that the route does not take."""

    status, code, title = 415, Code.UNSUPPORTED_MEDIA, "Unsupported media type"


class EgressRefused(CapstanError):
    """An address that the platform does not call."""

    status, code, title = 400, Code.EGRESS_REFUSED, "The address is not allowed"


class Overloaded(CapstanError):
    """Try again later."""

    status, code, title = 503, Code.OVERLOADED, "Overloaded"


class NotReady(CapstanError):
    """A needed part is not there yet."""

    status, code, title = 503, Code.NOT_READY, "Not ready"


class Upstream(CapstanError):
    """Another system failed."""

    status, code, title = 502, Code.UPSTREAM, "Another system failed"


def broken(place: str, rule: str) -> list[FieldError]:
    """One place and the rule that it breaks, as `errors=`."""
    return [FieldError(place=place, rule=rule)]


_BY_STATUS: dict[int, type[CapstanError]] = {
    422: Invalid,
    400: BadRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    415: UnsupportedMedia,
    503: NotReady,
}


def from_problem(problem: Problem) -> CapstanError:
    """The error that another service reported, to be raised here; its 5xx become `Upstream`."""
    kind = _BY_STATUS.get(problem.status, Upstream if problem.status >= 500 else BadRequest)
    known = problem.code in set(Code)
    return kind(
        problem.detail or problem.title,
        hint=problem.hint,
        errors=problem.errors,
        figures=problem.figures,
        code=Code(problem.code) if known else None,
    )
