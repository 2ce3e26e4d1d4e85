"""Ids as people type them: whole, or the first characters that listings show."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from capstan_contracts.ids import UUID_PATTERN
from capstan_servicekit.errors import BadRequest

_SHOWN = 3


async def whole_id(what: str, given: str, ids: AsyncIterator[str]) -> str:
    """The one id that begins with `given`; a whole UUIDv7 is taken as it is and nothing is listed.

    `what` is the noun for people, `ids` the ids there are. BadRequest when none or several begin so.
    """
    if re.fullmatch(UUID_PATTERN, given):
        return given
    matches = [id_ async for id_ in ids if id_.startswith(given.lower())] if given else []
    if len(matches) == 1:
        return matches[0]
    if matches:
        more = ", ..." if len(matches) > _SHOWN else ""
        raise BadRequest(
            f"{given!r} is the beginning of {len(matches)} {what} ids: {', '.join(matches[:_SHOWN])}{more}",
            hint="Give more characters.",
        )
    raise BadRequest(f"No {what} has an id that begins with {given!r}")


def batch_id(given: str) -> str:
    """A batch id, or its first 12 characters or more, which the service completes. BadRequest otherwise."""
    text = given.lower()
    if re.fullmatch(r"[0-9a-f]{12,64}", text):
        return text
    raise BadRequest(
        f"{given!r} is not the id of a batch: those are 64 hexadecimal characters, of which the first 12 suffice",
        hint="List them with: capstan data batches DATASET",
    )


def prediction_id(given: str) -> str:
    """A whole prediction id: predictions cannot be listed. BadRequest otherwise."""
    text = given.lower()
    if re.fullmatch(UUID_PATTERN, text):
        return text
    raise BadRequest(
        f"{given!r} is not a prediction id: those have 36 characters, as in the `prediction_ids` of an answer"
    )
