"""Errors that a caller is told about, and their one mapping to problem+json (RFC 9457).

Status and title come from the code (`capstan_contracts.codes`). An error that is given another code keeps the status
of its class: work that ran too long is the caller's to mend (400), also where its code is `deadline-exceeded`.

CapstanError
├── Invalid            422 the shape of the body or of a name is wrong
├── BadRequest         400 readable, but it cannot be done as asked
├── InvalidData        400 the bytes of a file are not what they claim to be
├── InvalidSpec        400 a declarative object breaks a rule
├── NotBuiltYet        400 a field of something that does not exist yet
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
├── Upstream           502 another system failed or answered nonsense
└── Damaged            500 stored bytes are not what was stored; trying again does not help
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from capstan_contracts.errors import Code, FieldError, Problem


class CapstanError(Exception):
    """An expected failure: a stable code, what happened, what to do. Everything else is an internal error."""

    code: ClassVar[Code] = Code.INTERNAL

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

    @property
    def status(self) -> int:
        """The HTTP status of the class."""
        return self.code.status

    def problem(self, *, instance: str = "", request_id: str = "") -> Problem:
        """This error as a body."""
        return Problem(
            title=self.problem_code.summary,
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

    code = Code.INVALID_BODY


class BadRequest(CapstanError):
    """Cannot be done as asked."""

    code = Code.BAD_REQUEST


class InvalidData(CapstanError):
    """A file that is not what it claims to be."""

    code = Code.INVALID_DATA


class InvalidSpec(CapstanError):
    """A declarative object that breaks a rule."""

    code = Code.INVALID_SPEC


class NotBuiltYet(CapstanError):
    """A field of something that does not exist yet."""

    code = Code.NOT_BUILT_YET


class Unauthenticated(CapstanError):
    """No principal."""

    code = Code.UNAUTHENTICATED


class Forbidden(CapstanError):
    """The principal may not."""

    code = Code.FORBIDDEN


class Protected(CapstanError):
    """A guarded object would be changed by the wrong call."""

    code = Code.PROTECTED


class NotFound(CapstanError):
    """No such thing in this project."""

    code = Code.NOT_FOUND


class Conflict(CapstanError):
    """The state of the thing does not allow it."""

    code = Code.CONFLICT


class TooLarge(CapstanError):
    """A body over the limit."""

    code = Code.BODY_TOO_LARGE


class UnsupportedMedia(CapstanError):
    """A content type that the route does not take."""

    code = Code.UNSUPPORTED_MEDIA


class EgressRefused(CapstanError):
    """An address that the platform does not call."""

    code = Code.EGRESS_REFUSED


class Overloaded(CapstanError):
    """Try again later."""

    code = Code.OVERLOADED


class NotReady(CapstanError):
    """A needed part is not there yet."""

    code = Code.NOT_READY


class Upstream(CapstanError):
    """Another system failed."""

    code = Code.UPSTREAM


class Damaged(CapstanError):
    """Stored bytes are not those that were stored, or are gone. `copy` is where the damaged bytes lie, if anywhere."""

    code = Code.DAMAGED

    def __init__(
        self,
        detail: str,
        *,
        hint: str = "",
        errors: list[FieldError] | None = None,
        figures: dict[str, Any] | None = None,
        copy: Path | None = None,
    ) -> None:
        super().__init__(detail, hint=hint, errors=errors, figures=figures)
        self.copy = copy

    @property
    def permanent(self) -> bool:
        """Until somebody puts the bytes back."""
        return True


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
    if problem.code == Code.DAMAGED:
        return Damaged(
            problem.detail or problem.title, hint=problem.hint, errors=problem.errors, figures=problem.figures
        )
    kind = _BY_STATUS.get(problem.status, Upstream if problem.status >= 500 else BadRequest)
    known = problem.code in set(Code)
    return kind(
        problem.detail or problem.title,
        hint=problem.hint,
        errors=problem.errors,
        figures=problem.figures,
        code=Code(problem.code) if known else None,
    )
