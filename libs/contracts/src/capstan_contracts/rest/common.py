"""Bodies that every service has."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import Field

from capstan_contracts.base import Instant, Lenient

T = TypeVar("T")


class Page(Lenient, Generic[T]):
    """A list, newest first; `next` is the cursor of the following page."""

    items: list[T]
    next: str | None = None


class PartStatus(Lenient):
    """`PUT /loops/{loop}` on a service: what its part would change or did change."""

    service: str
    loop: str
    generation: int
    changes: list[str] = Field(default_factory=list, description="one sentence per change; empty when nothing changes")


class ServiceStatus(Lenient):
    """`GET /readyz`."""

    service: str
    ready: bool
    missing: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list, description="what is wrong although the service can serve")
    version: str


class DeadLetter(Lenient):
    """An event that a consumer could not take, kept with the reason."""

    id: str
    consumer: str
    event_id: str
    event_type: str
    reason: str
    attempts: int
    failed_at: Instant
    envelope: dict[str, Any]
    replayed: bool = False


class SessionLink(Lenient):
    """A one-time address that turns into a session cookie in a browser."""

    url: str
    expires_in_s: int
