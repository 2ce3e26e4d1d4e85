"""Reading a view's online store: follows the pointer, one read for any number of keys."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from capstan_formats.online.entities import EntityCodec, OnlineEntity
from capstan_formats.online.rows import encode_key
from capstan_formats.online.store import (
    Meta,
    OnlineSchema,
    OnlineStoreError,
    connect,
    pointer_path,
    read_meta,
    read_pointer,
)

#: Keys per statement; SQLite's own bound on parameters is 32,766.
_CHUNK: Final = 500
_OPEN_ATTEMPTS: Final = 5


class OnlineReader:
    """Reads one view; threads may share it. Open it after a fork, not before.

    Every `get` first looks at the pointer file, so a new generation is seen at once, and each call reads one only.
    """

    def __init__(self, folder: Path, view: str) -> None:
        """ViewNotMaterializedError where nothing was ever written, OnlineStoreError where it cannot be opened."""
        self._folder = folder
        self._view = view
        self._pointer = str(pointer_path(folder, view))
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._open()

    @property
    def schema(self) -> OnlineSchema:
        """Schema of the generation last read."""
        return self._meta.schema

    def get(self, keys: Sequence[Sequence[Any]]) -> list[OnlineEntity | None]:
        """One entity or None per key, in order; parts in the order of the schema's keys.

        A key with a null part belongs to no entity. OnlineCodecError for a part that no key has.
        """
        encoded = [None if None in key else encode_key(key) for key in keys]
        with self._lock:
            self._follow_pointer()
            find = self._fetch([key for key in encoded if key is not None]).get
            codec = self._codec
            return [
                None if key is None or (data := find(key)) is None else OnlineEntity(codec, data) for key in encoded
            ]

    def close(self) -> None:
        """Lets go of the file; reading afterwards is an OnlineStoreError."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fetch(self, keys: list[bytes]) -> dict[bytes, bytes]:
        if self._connection is None:
            raise OnlineStoreError("the reader is closed")
        execute = self._connection.execute
        try:
            if len(keys) == 1:
                return dict(execute("SELECT key, value FROM kv WHERE key = ?", keys).fetchall())
            values: dict[bytes, bytes] = {}
            for start in range(0, len(keys), _CHUNK):
                chunk = keys[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                values.update(execute(f"SELECT key, value FROM kv WHERE key IN ({marks})", chunk).fetchall())
            return values
        except sqlite3.Error as error:
            raise OnlineStoreError(f"view {self._view!r} cannot be read: {error}") from None

    def _follow_pointer(self) -> None:
        if self._closed:
            raise OnlineStoreError("the reader is closed")
        if self._pointer_mark() != self._mark:
            self._open()

    def _pointer_mark(self) -> tuple[int, int] | None:
        """A rename gives the pointer a new inode, and the writer's clock a new time."""
        try:
            status = os.stat(self._pointer)
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    def _open(self) -> None:
        """Opens the generation that the pointer names; again where a writer dropped it in between."""
        for attempt in range(_OPEN_ATTEMPTS):
            mark = self._pointer_mark()
            path = read_pointer(self._folder, self._view)
            try:
                connection = connect(path)
            except OnlineStoreError:
                if attempt == _OPEN_ATTEMPTS - 1:
                    raise
                continue
            try:
                meta = read_meta(connection, path)
            except OnlineStoreError:
                connection.close()
                raise
            break
        self._adopt(connection, meta)
        self._mark = mark

    def _adopt(self, connection: sqlite3.Connection, meta: Meta) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = connection
        self._meta = meta
        self._codec = EntityCodec(meta.schema.columns)
