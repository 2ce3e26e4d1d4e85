"""Names that come with an upload, and what they say about its form. None of them ever becomes a path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from capstan_contracts.kinds.family import Family
from capstan_contracts.kinds.media import GROUP, MEDIUM_KINDS

PARTITION_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
FILENAME_PATTERN: Final = r"^[^/\\\x00-\x1f\x7f]{1,255}$"
TAR: Final = "tar"
"""The form of a folder of part files: not a medium, it holds files of one."""

_GZIP_ENDINGS: Final = {"gz": "", "gzip": "", "tgz": TAR}
_GZIP_TYPES: Final = {"application/gzip", "application/x-gzip"}
_TAR_TYPES: Final = {"application/x-tar": TAR, "application/tar": TAR}
_READERS: Final[Family[object]] = Family(GROUP)


@dataclass(frozen=True)
class Form:
    """How a file is written: its medium (or `tar`), and whether it is compressed with gzip."""

    medium: str
    gzip: bool = False

    def __str__(self) -> str:
        return f"{self.medium}+gzip" if self.gzip else self.medium

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote."""
        medium, _, packed = text.partition("+")
        return cls(medium, packed == "gzip")


def installed_media() -> tuple[str, ...]:
    """The names of all media that can be read here, ours and foreign ones; none is imported."""
    return _READERS.names


def _by_type() -> Mapping[str, str]:
    media = MEDIUM_KINDS.usable()
    return {of: str(spec.model_fields["kind"].default) for spec in media for of in spec.CONTENT_TYPES} | _TAR_TYPES


def _by_ending() -> Mapping[str, str]:
    media = MEDIUM_KINDS.usable()
    return {of: str(spec.model_fields["kind"].default) for spec in media for of in spec.ENDINGS} | {TAR: TAR}


def form_of(
    filename: str | None, *, content_type: str = "", encoding: str = "", medium: str | None = None
) -> Form | None:
    """The form that a request tells: by `medium` where it names one, by content type, or by the file name's ending.

    `encoding` is the header Content-Encoding. None when nothing says.
    """
    named = content_type.partition(";")[0].strip().lower()
    stem, _, ending = (filename or "").lower().rpartition(".")
    gzip = encoding in {"gzip", "x-gzip"} or named in _GZIP_TYPES or ending in _GZIP_ENDINGS
    if ending in _GZIP_ENDINGS:
        ending = _GZIP_ENDINGS[ending] or stem.rpartition(".")[2]
    kind = medium or _by_type().get(named) or _by_ending().get(ending)
    return None if kind is None else Form(kind, gzip)


def endings() -> str:
    """The endings of file names that tell a form, for a sentence."""
    return f"{', '.join(f'.{ending}' for ending in _by_ending())}; any of them with .gz"


def is_filename(text: str) -> bool:
    """Whether a text is a plain file name: no folder, no control character."""
    return re.fullmatch(FILENAME_PATTERN, text) is not None and text not in {".", ".."}


def filename_of(url: str) -> str | None:
    """The last part of an address's path, where it is a plain file name."""
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    return last if is_filename(last) else None
