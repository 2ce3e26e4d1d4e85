"""The online store in Redis: a generation is loaded beside the one in use, then the pointer is switched.

A generation is all that one version of the dataset says, and replaces the one before as a whole, unless that one is of
a later version. The switch happens only if nobody else switched since; else the work begins again.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import anyio

from capstan_feature_store.actions.ports import Loaded, OnlineValue
from capstan_feature_store.adapters.online_values import answered, unreadable
from capstan_feature_store.adapters.redis_client import FAILURES, connect, sentence, speaking
from capstan_formats.online import (
    ForeignFormatError,
    GenerationFile,
    KeyValueClient,
    Meta,
    NewerOnlineError,
    OnlineServerAway,
    OnlineServerReader,
    OnlineStoreError,
    ViewKeys,
    ViewNotMaterializedError,
    check_follows,
)
from capstan_servicekit.errors import NotReady
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
BATCH: Final = 2_000
BATCH_BYTES: Final = 4 << 20
"""Of one command, which Redis takes whole into memory before it does anything."""
UNFINISHED_S: Final = 600
"""A generation that nobody goes on with is gone after so long."""
OLD_S: Final = 60
"""The generation before stays so long for whoever has just read the pointer."""
_ATTEMPTS: Final = 5

# current, new rows, new meta, old rows, old meta; the old generation ("" for none), the new one, seconds
_SWITCH: Final = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('PERSIST', KEYS[2])
redis.call('PERSIST', KEYS[3])
redis.call('SET', KEYS[1], ARGV[2])
if ARGV[1] ~= '' then
  redis.call('EXPIRE', KEYS[4], ARGV[3])
  redis.call('EXPIRE', KEYS[5], ARGV[3])
end
return 1
"""


class OnlineRedis:
    """The `OnlineStore` port on a Redis server."""

    def __init__(self, url: str) -> None:
        self._url, self._client = url, connect(url)
        self._reader = OnlineServerReader(cast(KeyValueClient, self._client), FAILURES)

    def workplace(self, project: str, scratch: Path) -> Path:
        """A job has no network: it writes a generation file of its own, which `take_in` loads."""
        return scratch / "online"

    async def take_in(self, project: str, view: str, folder: Path) -> Loaded | None:
        """Load what the job wrote, and switch to it."""
        return await anyio.to_thread.run_sync(self._take_in, project, view, folder)

    async def read(
        self, project: str, view: str, version: str, keys: Sequence[Sequence[Any]], *, at_us: int
    ) -> list[OnlineValue]:
        """One value per key; all missing while the store holds nothing, or another version of the view."""
        return await anyio.to_thread.run_sync(self._read, project, view, version, keys, at_us)

    async def holds(self, project: str, view: str, version: str) -> bool:
        """Whether this version of the view is online; a server that was emptied holds nothing, nor does one whose
        generation is of an older format.
        """

        def look() -> bool:
            with speaking(self._url):
                try:
                    return self._reader.meta(project, view).schema.version == version
                except OnlineServerAway:
                    raise
                except (ViewNotMaterializedError, ForeignFormatError):
                    return False
                except OnlineStoreError as error:
                    log.warning("online_store.damaged", project=project, view=view, what=str(error))
                    return False

        return await anyio.to_thread.run_sync(look)

    async def check(self) -> str | None:
        """For readiness."""

        def ping() -> str | None:
            try:
                self._client.ping()
            except FAILURES as error:
                return sentence(error, self._url)
            return None

        return await anyio.to_thread.run_sync(ping)

    async def close(self) -> None:
        """Close the connections."""
        await anyio.to_thread.run_sync(self._client.close)

    def _read(
        self, project: str, view: str, version: str, keys: Sequence[Sequence[Any]], at_us: int
    ) -> list[OnlineValue]:
        with speaking(self._url):
            (answer,) = self._reader.get(project, [(view, keys)])
        try:
            if isinstance(answer, Exception):
                raise answer
            return answered(answer.schema, answer.rows, version, at_us)
        except ViewNotMaterializedError:
            return [OnlineValue("missing", None, {})] * len(keys)
        except OnlineStoreError as error:
            raise unreadable(view, error) from error

    def _take_in(self, project: str, view: str, folder: Path) -> Loaded:
        names = ViewKeys(project, view)
        with speaking(self._url):
            for _ in range(_ATTEMPTS):
                with GenerationFile(folder, view) as written:
                    if (loaded := self._attempt(names, written)) is not None:
                        return loaded
        raise NotReady(f"others switch view {view!r} again and again")

    def _attempt(self, names: ViewKeys, written: GenerationFile) -> Loaded | None:
        """One generation, beside the one in use; None when somebody else switched meanwhile."""
        before, old = self._in_use(names)
        if old is not None:
            try:
                check_follows(written.meta.schema, written.meta.sequence, old)
            except NewerOnlineError as error:
                return Loaded(old.rows, newer=str(error))
        fresh = uuid.uuid4().hex
        rows, meta = names.rows(fresh), names.meta(fresh)
        for batch in written.batches(BATCH, BATCH_BYTES):
            self._put(rows, batch)
        self._client.set(meta, written.meta.to_bytes(), ex=UNFINISHED_S)
        keys = (names.current, rows, meta, names.rows(before), names.meta(before))
        if not self._client.eval(_SWITCH, len(keys), *keys, before, fresh, OLD_S):
            self._client.unlink(rows, meta)
            return None
        return Loaded(written.meta.rows)

    def _in_use(self, names: ViewKeys) -> tuple[str, Meta | None]:
        """The generation in use ("" for none), and what it says of itself if that can be read."""
        pointer = cast("bytes | None", self._client.get(names.current))
        if pointer is None:
            return "", None
        try:
            return pointer.decode(), self._reader.meta(names.project, names.view)
        except OnlineServerAway:
            raise
        except (OnlineStoreError, UnicodeDecodeError):
            return pointer.decode("ascii", "replace"), None

    def _put(self, name: str, batch: dict[bytes, bytes]) -> None:
        if not batch:
            return
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hset(name, mapping=cast("Mapping[Any, Any]", batch))
        pipeline.expire(name, UNFINISHED_S)
        pipeline.execute()
