"""W3C trace context (https://www.w3.org/TR/trace-context/) through HTTP, events, work and jobs."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_PATTERN = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_current: ContextVar[str | None] = ContextVar("capstan_traceparent", default=None)
_request_id: ContextVar[str] = ContextVar("capstan_request_id", default="")


def traceparent() -> str | None:
    """The current traceparent, to be sent on."""
    return _current.get()


def trace_id() -> str:
    """The 32 hex characters that all parts of one story share; empty outside of one."""
    value = _current.get()
    return value[3:35] if value else ""


def request_id() -> str:
    """The id of the HTTP request being answered; empty outside of one."""
    return _request_id.get()


def child_of(parent: str | None) -> str:
    """A new span under `parent`, or the root of a new trace when there is none or it is malformed."""
    match = _PATTERN.fullmatch(parent) if parent else None
    trace = match[1] if match else secrets.token_hex(16)
    return f"00-{trace}-{secrets.token_hex(8)}-01"


@contextmanager
def span(parent: str | None, *, request: str = "") -> Iterator[str]:
    """Make a child of `parent` the current span."""
    current = child_of(parent)
    token, request_token = _current.set(current), _request_id.set(request or _request_id.get())
    try:
        yield current
    finally:
        _current.reset(token)
        _request_id.reset(request_token)
