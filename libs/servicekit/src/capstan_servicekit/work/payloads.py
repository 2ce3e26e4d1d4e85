"""Payloads of work as JSON and back, with their types checked at both ends.

Fields may be str, int, float, bool, datetime, None, and tuples, dicts and frozen dataclasses of these. A field that is
added later needs a default as long as items of the release before may wait.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from capstan_servicekit.work.kinds import P, Payload


class PayloadError(ValueError):
    """A payload that is not of its kind's shape: written by another release, or with a value of a wrong type."""


@lru_cache(maxsize=256)
def _adapter(kind: type[Payload]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def encode(payload: Payload) -> dict[str, Any]:
    """The payload as a JSON object; PayloadError names what `decode` would not take."""
    try:
        stored: dict[str, Any] = _adapter(type(payload)).dump_python(payload, mode="json", warnings="error")
    except PydanticSerializationError as error:
        raise PayloadError(f"work {payload.KIND!r} cannot be added: {error}") from error
    decode(type(payload), stored)
    return stored


def decode(kind: type[P], stored: Mapping[str, Any]) -> P:
    """The payload of a stored object; PayloadError names a field that is missing, unknown or of a wrong type."""
    unknown = sorted(stored.keys() - {field.name for field in fields(kind)})
    if unknown:
        raise PayloadError(f"work {kind.KIND!r}: {unknown[0]} is no field of {kind.__name__}")
    try:
        payload: P = _adapter(kind).validate_json(json.dumps(stored), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PayloadError(f"work {kind.KIND!r}: {place} of {kind.__name__}: {first['msg']}") from error
    return payload
