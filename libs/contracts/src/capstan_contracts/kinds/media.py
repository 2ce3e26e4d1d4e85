"""How rows are written in a file (`capstan.media`): what a dataset may set per medium, and how a file is told.

No setting rewrites data: each says how the text of an export is to be read, so that the export comes in as it is.
"""

from __future__ import annotations

import codecs
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from capstan_contracts.kinds.family import Family
from capstan_contracts.kinds.spec import KindSpec, OneOfKinds, name_alone, names_alone

GROUP: Final = "capstan.media"


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ValueError: an absolute path; OSError: a folder of the database
        raise ValueError(f"{name!r} is no time zone of the IANA database (write UTC or Europe/Zurich)") from None
    return name


def _encoding(name: str) -> str:
    try:
        codec = codecs.lookup(name)
        "".encode(name)  # refuses codecs that are no text encodings
    except (LookupError, ValueError):
        raise ValueError(f"{name!r} is no text encoding (write utf-8, cp1252, latin-1 or utf-16)") from None
    return codec.name


Zone = Annotated[str, AfterValidator(_zone)]
"""An IANA time zone: that of timestamps which carry none."""
Encoding = Annotated[str, AfterValidator(_encoding)]
"""A text encoding under Python's name of it."""


class Medium(KindSpec):
    """Base of the media. `ENDINGS` of file names and `CONTENT_TYPES` of requests are how a file of it is told.

    Every setting has a default: a medium that a dataset does not name is read with them.
    """

    ENDINGS: ClassVar[tuple[str, ...]] = ()
    CONTENT_TYPES: ClassVar[tuple[str, ...]] = ()

    zone: Zone = Field(default="UTC", description="zone of timestamps that carry none; a repeated hour is the earlier")


class TextMedium(Medium):
    """Base of media whose values are text."""

    encoding: Encoding = "utf-8"
    time_format: str | None = Field(
        default=None, min_length=2, description="strptime format of timestamps beside ISO 8601: `%d.%m.%Y %H:%M`"
    )
    nulls: list[str] | None = Field(default=None, description="texts that mean null, instead of the usual ones")


class CsvMedium(TextMedium):
    """Fields parted by a delimiter, RFC 4180 quotes, a header line."""

    ENDINGS: ClassVar = ("csv", "tsv", "tab")
    CONTENT_TYPES: ClassVar = ("text/csv", "application/csv", "text/tab-separated-values")

    kind: Literal["csv"] = "csv"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = Field(default=".", description="the sign before the decimals")
    thousands: Literal[",", ".", "'", "’", " ", "_"] | None = Field(default=None, description="the sign between groups")

    @model_validator(mode="after")
    def _signs_differ(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; they have to differ")
        if not self.delimiter.isascii() or self.delimiter in '"\r\n':
            raise ValueError(f"the delimiter {self.delimiter!r} is one ASCII sign, and neither quote nor line end")
        return self


class JsonLinesMedium(TextMedium):
    """One JSON object per line."""

    ENDINGS: ClassVar = ("jsonl", "ndjson", "jsonlines")
    CONTENT_TYPES: ClassVar = ("application/jsonl", "application/x-ndjson", "application/x-jsonlines")

    kind: Literal["jsonlines"] = "jsonlines"


class ParquetMedium(Medium):
    """Apache Parquet."""

    ENDINGS: ClassVar = ("parquet", "pq")
    CONTENT_TYPES: ClassVar = ("application/vnd.apache.parquet", "application/x-parquet", "application/parquet")

    kind: Literal["parquet"] = "parquet"


class ArrowMedium(Medium):
    """Apache Arrow IPC: the file format (Feather 2) and the stream format."""

    ENDINGS: ClassVar = ("arrow", "feather", "ipc", "arrows")
    CONTENT_TYPES: ClassVar = ("application/vnd.apache.arrow.file", "application/vnd.apache.arrow.stream")

    kind: Literal["arrow"] = "arrow"


MEDIUM_SPECS: Final[Family[type[Medium]]] = Family("capstan.specs.media")
MEDIUM_KINDS: Final = OneOfKinds(Medium, MEDIUM_SPECS, noun="medium", spell=name_alone, short=names_alone)
MediumSpec = Annotated[Medium, MEDIUM_KINDS]
"""A medium of any kind that is installed: `csv`, or `{kind: csv, delimiter: ";"}`."""


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _each_once(media: list[MediumSpec]) -> list[MediumSpec]:
    kinds = [medium.kind for medium in media]
    twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
    if twice:
        raise ValueError(f"each medium is set once; twice: {', '.join(twice)}")
    return media


MediaSpec = Annotated[list[MediumSpec], BeforeValidator(_as_list), AfterValidator(_each_once)]
"""`media: {kind: csv, delimiter: ";"}`, or a list of such; a medium that is not named is read with its defaults."""
