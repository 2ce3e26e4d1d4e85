"""The online store in files: one folder per project, read by the codec that the model server uses too."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio

from capstan_feature_store.actions.ports import Loaded, OnlineValue
from capstan_feature_store.adapters.online_values import answered, unreadable
from capstan_formats.online import ForeignFormatError, OnlineReader, OnlineStoreError, ViewNotMaterializedError
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)


class OnlineFiles:
    """The `OnlineStore` port. A reader stays open per view; each read follows the writer's pointer."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._readers: dict[tuple[str, str], OnlineReader] = {}
        self._lock = threading.Lock()

    def workplace(self, project: str, scratch: Path) -> Path:
        """The store itself: a job that writes a generation there also switches to it."""
        return self._root / project

    async def take_in(self, project: str, view: str, folder: Path) -> Loaded | None:
        """There is nothing left to do."""
        return None

    async def holds(self, project: str, view: str, version: str) -> bool:
        """Whether this version of the view is online. A file of another format, or a damaged one, is not: the log says
        so of the latter.
        """

        def look() -> bool:
            try:
                with OnlineReader(self._root / project, view) as reader:
                    return reader.schema.version == version
            except (ViewNotMaterializedError, ForeignFormatError):
                return False
            except OnlineStoreError as error:
                log.warning("online_store.damaged", project=project, view=view, what=str(error))
                return False

        return await anyio.to_thread.run_sync(look)

    async def read(
        self, project: str, view: str, version: str, keys: Sequence[Sequence[Any]], *, at_us: int
    ) -> list[OnlineValue]:
        """One value per key; all missing while the store holds nothing, or another version of the view."""
        return await anyio.to_thread.run_sync(self._read, project, view, version, keys, at_us)

    def _read(
        self, project: str, view: str, version: str, keys: Sequence[Sequence[Any]], at_us: int
    ) -> list[OnlineValue]:
        try:
            reader = self._reader(project, view)
            entities = reader.get(keys)
            return answered(reader.schema, entities, version, at_us)
        except ViewNotMaterializedError:
            return [OnlineValue("missing", None, {})] * len(keys)
        except OnlineStoreError as error:
            raise unreadable(view, error) from error

    def _reader(self, project: str, view: str) -> OnlineReader:
        with self._lock:
            reader = self._readers.get((project, view))
            if reader is None:
                reader = self._readers[project, view] = OnlineReader(self._root / project, view)
            return reader

    async def close(self) -> None:
        """Close all readers."""
        with self._lock:
            for reader in self._readers.values():
                reader.close()
            self._readers.clear()
