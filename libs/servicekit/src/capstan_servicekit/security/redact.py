"""One redactor for logs, events and errors: what looks like a secret does not leave the process."""

from __future__ import annotations

import re
from typing import Any

_KEYS = re.compile(r"(token|secret|password|passwd|authorization|api[-_]?key|cookie|credential)", re.IGNORECASE)
_INLINE = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}|\bcap_[A-Za-z0-9_-]{16,}")
_WORD = re.compile(r'(?:[^\s"\\]|\\\S)*+')
"""What an address may run on for: up to a space or a quotation mark, and past one that JSON has escaped."""
_CREDENTIALS = re.compile(r'://(?=[^\s:/"\\]*+:(?!\d{1,5}(?:[/?#]|$)))')
"""The beginning of an address that goes on with a user (or none) and a password, and not with host:port/."""
_MASK = "[redacted]"


def redact_text(text: str) -> str:
    """Mask bearer tokens, our own tokens, and user:password in addresses (Redis: no user) inside of a text.

    A password may hold `@`, `/` and `:` as they are, and an address several hosts: all up to the last `@` goes.
    """
    text = _INLINE.sub(_MASK, text)
    if "://" not in text or "@" not in text:
        return text
    kept, done, seen = list[str](), 0, 0
    for found in _CREDENTIALS.finditer(text):
        start = found.end()
        if start < seen:
            continue
        word = _WORD.match(text, start)
        seen = start if word is None else word.end()
        if (last := text.rfind("@", start, seen)) >= 0:
            kept += [text[done:start], _MASK]
            done = last
    return "".join([*kept, text[done:]])


def redact(value: Any) -> Any:
    """Mask secrets in a nested structure by key and by look."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {k: _MASK if isinstance(k, str) and _KEYS.search(k) and v else redact(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value
