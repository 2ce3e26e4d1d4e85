"""The port of the family `capstan.media`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import pyarrow as pa

from capstan_contracts.kinds.family import BrokenKind, Family, UnknownKind
from capstan_contracts.kinds.media import GROUP, Medium
from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.domain.file_refused import FileRefused, Limits


@dataclass(frozen=True)
class Remarks:
    """What a reader remarks beside the values, by the file's names of the columns; it adds to what is there.

    `nulls`: texts that were read as null, and how many (empty fields are not told). `leading_zeros`: a number of a
    column without a known type that was written with zeros in front.
    """

    nulls: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    leading_zeros: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """How a file is to be read. All names of columns are the file's.

    `types`: what a column has to be (`timestamp`, `decimal(18,2)`, ...), where the dataset knows; a medium whose values
    are text reads them as that, another may leave it to the modality. `ignored`: columns that are not read at all.
    `may_be_empty`: the file is a part of several, so it may hold no rows. `remarks`: where the reader adds its own.
    """

    spec: Medium
    limits: Limits
    types: Mapping[str, str]
    ignored: Collection[str] = ()
    may_be_empty: bool = False
    remarks: Remarks = field(default_factory=Remarks)


class MediumReader(Protocol):
    """Reads files of one medium; found as `capstan.media`, and loaded in job workers only.

    `read` gives the whole file as a table with Arrow's types as the file has them, columns in the file's order, those
    without a name called `Unnamed: <place>`. It raises FileRefused, whose sentences name the line or the column, the
    rule and what to set; any other exception is a fault of the medium. It writes nothing, and keeps no state: several
    threads may read at once. Memory is bounded by the job; bytes decompressed by `limits`.
    """

    kind: ClassVar[str]

    def read(self, path: Path, how: Reading) -> pa.Table:
        """The rows of the file."""
        ...


MEDIA: Family[type[MediumReader]] = Family(GROUP)


def unreadable(error: UnknownKind | BrokenKind) -> FileRefused:
    """The refusal of a file whose medium is not installed whole: its reader, or its spec."""
    sentence = f"the medium cannot be read here: {error}; install it beside capstan-ingestion, jobs included"
    return FileRefused(Refusal("unknown-medium", sentence))
