"""Where the rows of a dataset come from (`capstan.sources`)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator

from capstan_contracts.base import Spec
from capstan_contracts.kinds.choose import chosen

GROUP: Final = "capstan.sources"
KINDS: Final = ("upload",)
_FETCH = "To fetch a file from an address now, use POST /datasets/{dataset}/pulls; a source that pulls is not built yet"


class UploadSource(Spec):
    """Clients send files (`POST /batches`) or have one fetched (`POST /pulls`)."""

    kind: Literal["upload"] = "upload"


SourceSpec = Annotated[UploadSource, BeforeValidator(chosen("source", KINDS, advice=_FETCH))]
"""`source: upload`, or `source: {kind: upload}`."""
