"""Where the rows of a dataset come from (`capstan.sources`)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from capstan_contracts.kinds.family import Family
from capstan_contracts.kinds.spec import KindSpec, OneOfKinds, name_alone, names_alone

GROUP: Final = "capstan.sources"
_FETCH = "To fetch a file from an address now, use POST /datasets/{dataset}/pulls; a source that pulls is not built yet"


class Source(KindSpec):
    """Base of the sources."""


class UploadSource(Source):
    """Clients send files (`POST /batches`) or have one fetched (`POST /pulls`)."""

    kind: Literal["upload"] = "upload"


SOURCE_SPECS: Final[Family[type[Source]]] = Family("capstan.specs.sources")
SOURCE_KINDS: Final = OneOfKinds(
    Source, SOURCE_SPECS, noun="source", spell=name_alone, short=names_alone, advice=_FETCH
)
SourceSpec = Annotated[Source, SOURCE_KINDS]
"""A source of any kind that is installed: `upload`, or `{kind: upload}`."""
