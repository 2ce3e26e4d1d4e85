"""A generation file as it was written: its meta, and its packed entities in batches, to be loaded somewhere else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from capstan_formats.online.store import Meta, OnlineStoreError, connect, read_meta, read_pointer


class GenerationFile:
    """The generation in use of a view in a folder. ViewNotMaterializedError, OnlineStoreError."""

    def __init__(self, folder: Path, view: str) -> None:
        path = read_pointer(folder, view)
        self._connection = connect(path)
        try:
            self.meta: Meta = read_meta(self._connection, path)
        except OnlineStoreError:
            self._connection.close()
            raise

    def batches(self, entities: int, size: int) -> Iterator[dict[bytes, bytes]]:
        """Packed key -> packed entity, up to `entities` or about `size` bytes at a time (one entity may have more)."""
        batch, held = dict[bytes, bytes](), 0
        try:
            for key, value in self._connection.execute("SELECT key, value FROM kv"):
                if batch and (len(batch) == entities or held + len(key) + len(value) > size):
                    yield batch
                    batch, held = {}, 0
                batch[key] = value
                held += len(key) + len(value)
        except sqlite3.Error as error:
            raise OnlineStoreError(f"the generation cannot be read: {error}") from None
        if batch:
            yield batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
