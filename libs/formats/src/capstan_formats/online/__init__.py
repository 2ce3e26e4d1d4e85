"""The online store of a feature view: packed rows per generation, in one immutable SQLite file or in Redis."""

from capstan_formats.online.generation import GenerationFile
from capstan_formats.online.keyvalue import (
    Answer,
    KeyValueClient,
    OnlineServerAway,
    OnlineServerReader,
    ViewKeys,
    ViewRows,
)
from capstan_formats.online.reader import Lookup, OnlineReader, Status, look_up
from capstan_formats.online.rows import OnlineCodecError, OnlineColumn, OnlineRow, RowCodec, encode_key
from capstan_formats.online.store import Meta, OnlineSchema, OnlineStoreError, ViewNotMaterializedError
from capstan_formats.online.writer import EntityRow, OnlineGeneration, OnlineWriter

__all__ = [
    "Answer",
    "EntityRow",
    "GenerationFile",
    "KeyValueClient",
    "Lookup",
    "Meta",
    "OnlineCodecError",
    "OnlineColumn",
    "OnlineGeneration",
    "OnlineReader",
    "OnlineRow",
    "OnlineSchema",
    "OnlineServerAway",
    "OnlineServerReader",
    "OnlineStoreError",
    "OnlineWriter",
    "RowCodec",
    "Status",
    "ViewKeys",
    "ViewNotMaterializedError",
    "ViewRows",
    "encode_key",
    "look_up",
]
