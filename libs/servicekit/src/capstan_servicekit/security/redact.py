"""One redactor for logs, events and errors: what looks like a secret does not leave the process."""

from __future__ import annotations

import re
from typing import Any

_KEYS = re.compile(r"(token|secret|password|passwd|authorization|api[-_]?key|cookie|credential)", re.IGNORECASE)
_INLINE = re.compile(
    r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)|\bcap_[A-Za-z0-9_-]{16,}"
)
_MASK = "[redacted]"


def redact_text(text: str) -> str:
    """Mask bearer tokens, our own tokens, and user:password in addresses (Redis: no user) inside of a text."""
    return _INLINE.sub(_MASK, text)


def redact(value: Any) -> Any:
    """Mask secrets in a nested structure by key and by look."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {k: _MASK if isinstance(k, str) and _KEYS.search(k) and v else redact(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value
