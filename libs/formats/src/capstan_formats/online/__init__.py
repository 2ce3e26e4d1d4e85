"""The online store of a feature view: packed entities per generation, in one immutable SQLite file or in Redis."""

from capstan_formats.online.entities import (
    MISSING,
    UNKNOWN,
    EntityCodec,
    Lookup,
    OnlineEntity,
    Status,
    TimedRow,
    look_up,
)
from capstan_formats.online.generation import GenerationFile
from capstan_formats.online.keyvalue import (
    Answer,
    KeyValueClient,
    OnlineServerAway,
    OnlineServerReader,
    ViewKeys,
    ViewRows,
)
from capstan_formats.online.reader import OnlineReader
from capstan_formats.online.rows import OnlineCodecError, OnlineColumn, RowCodec, encode_key
from capstan_formats.online.store import (
    ForeignFormatError,
    Meta,
    NewerOnlineError,
    OnlineSchema,
    OnlineStoreError,
    ViewNotMaterializedError,
    check_follows,
)
from capstan_formats.online.writer import EntityRow, OnlineGeneration, OnlineWriter

__all__ = [
    "MISSING",
    "UNKNOWN",
    "Answer",
    "EntityCodec",
    "EntityRow",
    "ForeignFormatError",
    "GenerationFile",
    "KeyValueClient",
    "Lookup",
    "Meta",
    "NewerOnlineError",
    "OnlineCodecError",
    "OnlineColumn",
    "OnlineEntity",
    "OnlineGeneration",
    "OnlineReader",
    "OnlineSchema",
    "OnlineServerAway",
    "OnlineServerReader",
    "OnlineStoreError",
    "OnlineWriter",
    "RowCodec",
    "Status",
    "TimedRow",
    "ViewKeys",
    "ViewNotMaterializedError",
    "ViewRows",
    "check_follows",
    "encode_key",
    "look_up",
]
