"""Names that come with an upload, and what they say about its format. None of them ever becomes a path."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

Media = Literal["parquet", "csv"]

PARTITION_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
FILENAME_PATTERN: Final = r"^[^/\\\x00-\x1f\x7f]{1,255}$"

_BY_TYPE: dict[str, Media] = {
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/parquet": "parquet",
    "text/csv": "csv",
    "application/csv": "csv",
}
_BY_ENDING: dict[str, Media] = {"parquet": "parquet", "pq": "parquet", "csv": "csv"}


def media_of(content_type: str, filename: str | None) -> Media | None:
    """The format that the content type names, else the one that the file name ends with; None when neither does."""
    named = _BY_TYPE.get(content_type.partition(";")[0].strip().lower())
    if named is not None:
        return named
    ending = (filename or "").lower().rpartition(".")[2]
    return _BY_ENDING.get(ending)


def is_filename(text: str) -> bool:
    """Whether a text is a plain file name: no folder, no control character."""
    return re.fullmatch(FILENAME_PATTERN, text) is not None and text not in {".", ".."}


def filename_of(url: str) -> str | None:
    """The last part of an address's path, where it is a plain file name."""
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    return last if is_filename(last) else None
