"""How a label finds its prediction: the dataset's key values in one canonical spelling."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence

from capstan_monitoring.domain.instants import micros


def join_key(values: Sequence[object]) -> str | None:
    """32 hex characters for the values of the key columns; None when one of them is missing.

    Times must be given as epoch microseconds (`micros`); 12 and 12.0 are the same number.
    """
    if any(value is None for value in values):
        return None
    plain = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
    return hashlib.sha256(json.dumps(plain, separators=(",", ":")).encode()).hexdigest()[:32]


def key_of(row: Mapping[str, object], keys: Sequence[str], time_keys: Sequence[str]) -> str | None:
    """The join key of a row that names its columns; None when a key is missing or no plain value."""
    values = [micros(row.get(key)) if key in time_keys else row.get(key) for key in keys]
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        return None
    return join_key(values) if all(isinstance(value, str | int | float) for value in values) else None


def prediction_key(prediction_id: str) -> str:
    """The 32 hex characters of a prediction id: a label that came by id is kept under them."""
    return prediction_id.replace("-", "")
