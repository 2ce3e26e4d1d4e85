"""JSON that one place carries and another one knows, as types."""

from __future__ import annotations

from typing import TypeAlias

JsonObject: TypeAlias = dict[str, object]
"""A JSON object that its model reads where it is needed: a specification as it was stored, a verdict on its way."""

Scalar: TypeAlias = str | int | float | bool
"""The value of a pipeline's parameter."""
