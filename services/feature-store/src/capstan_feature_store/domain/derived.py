"""Key columns derived from request columns. There is one function so far: `floor_hour(<timestamp column>)`."""

from __future__ import annotations

import re
from typing import Final

_CALL: Final = re.compile(r"\s*floor_hour\s*\(\s*([A-Za-z_][A-Za-z0-9_]{0,62})\s*\)\s*")
HOUR_US: Final = 3_600_000_000


def source_column(expression: str) -> str | None:
    """The request column that a derived column is made from; None when the expression is not known."""
    match = _CALL.fullmatch(expression)
    return match[1] if match else None


def floor_hour(instant_us: int) -> int:
    """The full hour (UTC) at or before an instant, in epoch microseconds."""
    return instant_us - instant_us % HOUR_US
