"""The online store of a feature view: packed rows in one immutable SQLite file per generation, and its codec."""

from capstan_formats.online.reader import Lookup, OnlineReader, Status, look_up
from capstan_formats.online.rows import OnlineCodecError, OnlineColumn, OnlineRow, RowCodec, encode_key
from capstan_formats.online.store import OnlineSchema, OnlineStoreError, ViewNotMaterializedError
from capstan_formats.online.writer import EntityRow, OnlineGeneration, OnlineWriter

__all__ = [
    "EntityRow",
    "Lookup",
    "OnlineCodecError",
    "OnlineColumn",
    "OnlineGeneration",
    "OnlineReader",
    "OnlineRow",
    "OnlineSchema",
    "OnlineStoreError",
    "OnlineWriter",
    "RowCodec",
    "Status",
    "ViewNotMaterializedError",
    "encode_key",
    "look_up",
]
