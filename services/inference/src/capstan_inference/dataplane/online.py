"""Where the model server reads features: files of this machine, or a Redis server that must never hold it up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol, cast

from capstan_formats.online import (
    Answer,
    KeyValueClient,
    OnlineCodecError,
    OnlineReader,
    OnlineSchema,
    OnlineServerAway,
    OnlineServerReader,
    OnlineStoreError,
    ViewNotMaterializedError,
    ViewRows,
)

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 0.25
"""How long a request may wait for Redis, connecting included. A request of few rows is answered on the event loop."""
PROBE_S: Final = 0.2
Key = Sequence[Any]


class Views(Protocol):
    """The online store as lookups need it."""

    def schema(self, project: str, view: str) -> OnlineSchema | None:
        """The schema last read; None where nothing was materialized yet. OnlineStoreError where it cannot be read."""
        ...

    def get(self, project: str, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Answer]:
        """Rows of each (view, keys). What keeps a view from being read is its answer."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def open_views(place: str | Path) -> Views:
    """By the configuration: a folder, or the URL of a Redis server."""
    online = str(place)
    if not online.startswith(("redis://", "rediss://")):
        return FileViews(Path(online))
    client, failures = _connect(online)
    return ServerViews(OnlineServerReader(cast(KeyValueClient, client), failures), client.close)


def _connect(url: str) -> tuple[Any, tuple[type[Exception], ...]]:
    # A model server that reads files need not load the client: it takes a third of a second and 15 MB.
    import redis  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    client = redis.Redis.from_url(
        url,
        protocol=2,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        # Once more, at once, on a connection that was cut while it lay idle; never after a timeout.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        client_name="capstan-model-server",
    )
    return client, (redis.RedisError, OSError)


class FileViews:
    """One reader per project and view, opened when first asked for and shared by all models."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._readers: dict[tuple[str, str], OnlineReader] = {}
        self._lock = threading.Lock()

    def schema(self, project: str, view: str) -> OnlineSchema | None:
        """The schema last read."""
        reader = self._reader(project, view)
        return None if reader is None else reader.schema

    def get(self, project: str, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Answer]:
        """One read per view."""
        return [self._get(project, view, keys) for view, keys in wanted]

    def close(self) -> None:
        """Let go of all files."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def _get(self, project: str, view: str, keys: Sequence[Key]) -> Answer:
        try:
            reader = self._reader(project, view)
            if reader is None:
                return ViewNotMaterializedError(f"view {view!r} has nothing online yet")
            rows = reader.get(keys)
            return ViewRows(reader.schema, rows)
        except (OnlineStoreError, OnlineCodecError) as error:
            return error

    def _reader(self, project: str, view: str) -> OnlineReader | None:
        reader = self._readers.get((project, view))
        if reader is not None:
            return reader
        with self._lock:
            try:
                return self._readers.setdefault((project, view), OnlineReader(self._root / project, view))
            except ViewNotMaterializedError:
                return None


class ServerViews:
    """All views of a request in one round trip. After a failure nothing is asked until a probe was answered.

    So a server that hangs holds up one request for a quarter of a second, and not each of them.
    """

    def __init__(self, reader: OnlineServerReader, close: Any) -> None:
        self._reader, self._close_client = reader, close
        self._lock = threading.Lock()
        self._away = False
        self._closed = threading.Event()

    def schema(self, project: str, view: str) -> OnlineSchema | None:
        """The schema last read."""
        self._need()
        try:
            return self._reader.schema(project, view)
        except ViewNotMaterializedError:
            return None
        except OnlineServerAway:
            self._went_away()
            raise

    def get(self, project: str, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Answer]:
        """One round trip for all views."""
        try:
            self._need()
            return self._reader.get(project, wanted)
        except OnlineServerAway as error:
            self._went_away()
            return [error] * len(wanted)

    def close(self) -> None:
        """Close the connections, and end the probe."""
        self._closed.set()
        self._close_client()

    def _need(self) -> None:
        if self._away:
            raise OnlineServerAway("the online store is away")

    def _went_away(self) -> None:
        with self._lock:
            if self._away or self._closed.is_set():
                return
            self._away = True
        log.warning("online_store.away")
        threading.Thread(target=self._probe, name="online-store-probe", daemon=True).start()

    def _probe(self) -> None:
        while not self._closed.wait(PROBE_S):
            try:
                self._reader.probe()
            except OnlineServerAway:
                continue
            self._away = False
            log.warning("online_store.back")
            return
