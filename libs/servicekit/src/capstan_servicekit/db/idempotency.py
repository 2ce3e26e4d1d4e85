"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): the same key gives the same answer, once carried out."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from capstan_contracts.errors import Code
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.db.tables import IdempotencyRow
from capstan_servicekit.errors import Conflict, Invalid, broken


def fingerprint(*parts: bytes | str) -> str:
    """What identifies a request apart from its key."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


async def recall(session: WriteSession, project: str, key: str | None, print_: str) -> dict[str, Any] | None:
    """The answer given before under `key`; Conflict when it belonged to another request."""
    if key is None:
        return None
    if not 1 <= len(key) <= 200:
        raise Invalid(
            "The Idempotency-Key is not usable", errors=broken("header Idempotency-Key", "1 to 200 characters")
        )
    row = await session.get(IdempotencyRow, (project, key))
    if row is None:
        return None
    if row.fingerprint != print_:
        raise Conflict(
            "This Idempotency-Key was used for a different request",
            code=Code.IDEMPOTENCY_MISMATCH,
            hint="Send a new key with each new request.",
        )
    return row.response


def remember(
    session: WriteSession, project: str, key: str | None, print_: str, response: dict[str, Any], now: datetime
) -> None:
    """Keep the answer in the transaction that carried the request out."""
    if key is not None:
        session.add(IdempotencyRow(project=project, key=key, fingerprint=print_, response=response, created_at=now))
