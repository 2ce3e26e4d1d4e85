"""The one id space: names, versions, digests, time-ordered ids and URNs."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, Self, get_args
from uuid import UUID

from pydantic import StringConstraints

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SERVICES: Final = ("ingestion", "feature-store", "training", "registry", "inference", "monitoring")

NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
IDENTIFIER_PATTERN: Final = r"^[a-z_][a-z0-9_]{0,62}$"
DIGEST_PATTERN: Final = r"^[0-9a-f]{64}$"
VERSION_PATTERN: Final = r"^[0-9a-f]{12,64}$"
UUID_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=63)]
"""A DNS label (RFC 1123): projects, datasets, loops, models, deployments."""
Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)]
"""A lower-case SQL identifier: feature views, feature services, columns of ours."""
Digest = Annotated[str, StringConstraints(pattern=DIGEST_PATTERN)]
"""sha256 of bytes, 64 lower-case hex characters."""
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]
"""A content version: the full sha256, or its first 12 hex characters where people read it."""
Uuid7 = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
"""A UUIDv7 (RFC 9562, 5.7): its first 48 bits are Unix milliseconds."""

Kind = Literal[
    "dataset", "batch", "view", "training-set", "run", "model", "deployment", "prediction", "loop", "segment"
]


def uuid7(at: datetime | None = None) -> str:
    """A new UUIDv7 (RFC 9562, 5.7) of wall time `at`, which has a zone: 48 bits of milliseconds, then random bits."""
    millis = time.time_ns() // 1_000_000 if at is None else (at - _EPOCH) // timedelta(milliseconds=1)
    random = secrets.randbits(74)
    value = (millis & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & ((1 << 62) - 1)
    return str(UUID(int=value))


def uuid7_millis(value: str) -> int:
    """The Unix milliseconds inside a UUIDv7. They reach to the year 10889, further than a datetime does."""
    return UUID(value).int >> 80


def uuid7_instant(value: str) -> datetime:
    """The wall time inside a UUIDv7, to the millisecond. ValueError for one after the year 9999."""
    try:
        return _EPOCH + timedelta(milliseconds=uuid7_millis(value))
    except OverflowError:
        raise ValueError(f"{value}: the time inside this UUIDv7 is after the year 9999") from None


def short(version: str) -> str:
    """The 12 hex characters under which people see a content version."""
    return version[:12]


@dataclass(frozen=True, slots=True)
class Urn:
    """`capstan:<project>:<kind>/<name>[@<version>]`: the one spelling in events, logs, lineage and pages."""

    project: str
    kind: Kind
    name: str
    version: str | None = None

    def __str__(self) -> str:
        tail = f"@{self.version}" if self.version else ""
        return f"capstan:{self.project}:{self.kind}/{self.name}{tail}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URN; ValueError says what is wrong with it."""
        match = re.fullmatch(r"capstan:([^:/@]+):([a-z-]+)/([^/@]+)(?:@([^/@]+))?", text)
        if match is None:
            raise ValueError(f"not a Capstan URN: {text!r} (want capstan:<project>:<kind>/<name>[@<version>])")
        project, kind, name, version = match.groups()
        if kind not in get_args(Kind):
            raise ValueError(f"unknown kind {kind!r} in URN {text!r}")
        return cls(project, kind, name, version)  # type: ignore[arg-type]
