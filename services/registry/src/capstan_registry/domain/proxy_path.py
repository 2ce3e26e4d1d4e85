"""The path of a request at the MLflow proxy: decoded once, then taken as it is or refused.

MLflow's path traversals (CVE-2023-1177, 2023-2356, 2023-2780, 2024-1560, 2026-2614) came from checking one spelling and
using another: a second decoding, a backslash, an encoded slash. Here a path that has a second spelling is refused.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

_ENCODED_STRUCTURE: Final = re.compile(rb"%(?:2f|5c|2e|00|25)", re.IGNORECASE)
_STRUCTURE: Final = re.compile(r"[\x00-\x1f\x7f\\%;]|//")
#: What file systems and object stores keep as one name.
MAX_NAME_BYTES: Final = 255
SUSPICIOUS: Final = (
    "plain names of at most 255 bytes between single slashes: no '..', no backslash, nothing encoded twice"
)


def decode(raw: bytes) -> str | None:
    """The path behind `/mlflow/`, decoded; None when it has a second spelling or leads upwards."""
    if _ENCODED_STRUCTURE.search(raw):
        return None
    try:
        path = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        return None
    return path if is_plain(path) else None


def is_plain(path: str) -> bool:
    """Whether a decoded relative path has one reading only, below its root."""
    if path.startswith("/") or _STRUCTURE.search(path):
        return False
    return not any(part in (".", "..") or len(part.encode()) > MAX_NAME_BYTES for part in path.split("/"))


def encode(path: str) -> str:
    """The one spelling under which a decoded path is sent on."""
    return quote(path, safe="/@:,=+!$&'()*~")
