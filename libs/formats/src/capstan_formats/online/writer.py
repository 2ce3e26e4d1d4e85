"""Writing a view's online store: a new generation beside the old one, then the switch, then the old one is dropped."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from capstan_formats.online.entities import EntityCodec
from capstan_formats.online.rows import OnlineCodecError, encode_key
from capstan_formats.online.store import (
    SUFFIX,
    Meta,
    OnlineSchema,
    OnlineStoreError,
    check_follows,
    check_view,
    connect,
    is_generation,
    read_meta,
    read_pointer,
    switch_pointer,
)

_TABLES: Final = (
    "CREATE TABLE kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE meta (value BLOB NOT NULL)",
)
_INSERT: Final = "INSERT INTO kv VALUES (?, ?)"
_LOCK_PAUSE_S: Final = 0.02


class EntityRow(NamedTuple):
    """One row to write. Key and values in schema order; times in epoch microseconds.

    It answers from `known_ts` on, the later one of its event time and of the time at which it was created. `older` on
    the first row of an entity says that rows known before it were left out.
    """

    key: tuple[Any, ...]
    event_ts: int
    known_ts: int
    values: tuple[Any, ...]
    older: bool = False


@dataclass(frozen=True, slots=True)
class OnlineGeneration:
    """A generation in use: its file, entities, watermark."""

    path: Path
    rows: int
    watermark: int | None


class OnlineWriter:
    """Builds one generation from nothing; readers see the old one until `commit`. One writer per view at a time.

    What a generation holds is what one version of the dataset says, so that whatever was withdrawn or corrected since
    is gone. Number `sequence` of the dataset never replaces a later one under the same schema.
    """

    def __init__(self, folder: Path, schema: OnlineSchema, sequence: int = 0, *, lock_timeout_s: float = 30.0) -> None:
        """Takes the view's lock. OnlineStoreError where another writer holds it for longer than the timeout;
        NewerOnlineError where a later version of the dataset is online.
        """
        self._folder = folder
        self.schema, self._sequence = schema, sequence
        self._codec = EntityCodec(schema.columns)
        self._lock = _lock(folder, check_view(schema.view), lock_timeout_s)
        self._path = folder / f"{schema.view}.{uuid.uuid4().hex}{SUFFIX}"
        self._connection: sqlite3.Connection | None = None
        try:
            current = _current(folder, schema.view)
            if current is not None:
                check_follows(schema, sequence, current)
            self._connection = self._connect()
        except BaseException:
            self.discard()
            raise

    def write(self, rows: Iterable[EntityRow]) -> int:
        """Writes rows as they come; returns how many entities they were.

        Rows of one entity follow one another, the one that is known first at the front. OnlineCodecError names a bad
        row (those before it are in the unfinished generation); on an error of the disk the generation is given up.
        """
        connection = self._need_open()
        before = connection.total_changes
        try:
            connection.executemany(_INSERT, self._packed(rows))
        except sqlite3.IntegrityError:
            raise OnlineCodecError("rows of one entity must follow one another") from None
        except sqlite3.Error as error:
            self.discard()
            raise OnlineStoreError(f"{self._path.name} cannot be written: {error}") from None
        return connection.total_changes - before

    def commit(self, watermark: int | None = None) -> OnlineGeneration:
        """Puts the generation to use and drops the old one."""
        connection = self._need_open()
        meta = Meta(self.schema, self._sequence, watermark, connection.total_changes)
        try:
            connection.execute("DELETE FROM meta")
            connection.execute("INSERT INTO meta VALUES (?)", (meta.to_bytes(),))
            connection.commit()
        except sqlite3.Error as error:
            self.discard()
            raise OnlineStoreError(f"{self._path.name} cannot be written: {error}") from None
        connection.close()
        self._connection = None
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
        switch_pointer(self._folder, self.schema.view, self._path)
        self._drop_others()
        self._unlock()
        return OnlineGeneration(self._path, meta.rows, meta.watermark)

    def discard(self) -> None:
        """Leaves everything as it was; after `commit` it does nothing."""
        if self._lock is None:
            return
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._path.unlink(missing_ok=True)
        self._unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _packed(self, rows: Iterable[EntityRow]) -> Iterator[tuple[bytes, bytes]]:
        pack = self._codec.pack
        parts = len(self.schema.keys)
        number = 0
        for key, group in groupby(rows, attrgetter("key")):
            entity = list(group)
            try:
                if len(key) != parts:
                    raise OnlineCodecError(f"the key has {len(key)} parts, not {parts}")
                yield encode_key(key), pack(entity, older=entity[0].older)
            except OnlineCodecError as error:
                raise OnlineCodecError(f"row {number}: {error}") from None
            number += len(entity)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path)
        # A crash loses the unfinished file as a whole, so neither journal nor fsync is needed before `commit`.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        for statement in _TABLES:
            connection.execute(statement)
        return connection

    def _drop_others(self) -> None:
        """The old generation, and what crashed writers left. Readers that have a file open keep it."""
        for path in self._folder.iterdir():
            if path != self._path and is_generation(path.name, self.schema.view):
                path.unlink(missing_ok=True)

    def _need_open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise OnlineStoreError("the writer is closed")
        return self._connection

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _current(folder: Path, view: str) -> Meta | None:
    """Meta of the generation in use; None where there is none that can be read (of an older format, say)."""
    try:
        path = read_pointer(folder, view)
        connection = connect(path)
    except OnlineStoreError:
        return None
    try:
        return read_meta(connection, path)
    except OnlineStoreError:
        return None
    finally:
        connection.close()


def _lock(folder: Path, view: str, timeout_s: float) -> int | None:
    """An exclusive lock on the view's lock file; the system lets go of it when the process dies."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / f"{view}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise OnlineStoreError(f"another writer holds view {view!r}") from None
            time.sleep(_LOCK_PAUSE_S)
        else:
            return descriptor
