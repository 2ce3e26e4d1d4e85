"""Content-addressed bytes in an S3 bucket under `<prefix>/<project>/sha256/<2>/<digest>`, read through a cache."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import anyio

from capstan_contracts.ids import DIGEST_PATTERN
from capstan_servicekit.errors import CapstanError, Damaged, Invalid, NotFound, broken
from capstan_servicekit.objects.bucket import S3Bucket
from capstan_servicekit.objects.cache import ObjectCache
from capstan_servicekit.objects.port import PUT_BACK, Condition
from capstan_servicekit.settings import ServiceSettings
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
_CHECK_EVERY_S: Final = 5.0


class S3ObjectStore:
    """The `ObjectStore` port on a bucket. Damaged objects are moved to `<prefix>/<project>/damaged/<digest>`."""

    def __init__(self, bucket: S3Bucket, cache: ObjectCache, clock: Callable[[], float] = time.monotonic) -> None:
        self.bucket, self._cache, self._clock = bucket, cache, clock
        self._checked: tuple[float, str | None] | None = None

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> S3ObjectStore:
        """The store that the settings name, with its cache below home."""
        cache = ObjectCache(settings.home / "cache" / "objects", max_bytes=settings.object_cache_bytes)
        return cls(S3Bucket.from_settings(settings), cache)

    async def put_bytes(self, project: str, content: bytes) -> str:
        """Store bytes durably; their digest."""
        digest = hashlib.sha256(content).hexdigest()
        await self.bucket.put(_key(project, digest), content)
        return digest

    async def put_file(self, project: str, source: Path) -> str:
        """Store a copy of a file durably; its digest. The copy stays in the cache: what is made is often read soon."""
        digest, copy = await anyio.to_thread.run_sync(self._cache.keep, source, project)
        await self.bucket.put(_key(project, digest), copy)
        return digest

    async def read(self, project: str, digest: str) -> bytes:
        """All bytes of an object."""
        return await anyio.to_thread.run_sync((await self.local_path(project, digest)).read_bytes)

    async def local_path(self, project: str, digest: str) -> Path:
        """A file with the object's bytes. It stays for half an hour at least, and outlives that for who has it open."""
        key = _key(project, digest)
        try:
            return await self._cache.get(project, digest, lambda file: self.bucket.read_into(key, file))
        except FileNotFoundError as error:
            if await self.bucket.exists(_aside(project, digest)):
                raise await self._damaged(project, digest) from error
            raise NotFound(f"no object {digest[:12]} in project {project}") from error
        except Damaged as error:
            # Read once more: bytes that changed on their way lie whole in the bucket.
            if await self.scrub(project, digest) is Condition.DAMAGED:
                raise await self._damaged(project, digest) from error
            raise

    async def exists(self, project: str, digest: str) -> bool:
        """Whether the object is there."""
        key = _key(project, digest)
        return await self.bucket.exists(key) or await self.bucket.exists(_aside(project, digest))

    async def scrub(self, project: str, digest: str) -> Condition:
        """Stream it from the bucket, past the cache."""
        try:
            found = await self.bucket.digest_of(_key(project, digest))
        except FileNotFoundError:
            aside = await self.bucket.exists(_aside(project, digest))
            return Condition.DAMAGED if aside else Condition.GONE
        if found == digest:
            return Condition.WHOLE
        log.error("object.damaged", project=project, digest=digest, found=found)
        try:
            await self.bucket.move(_key(project, digest), _aside(project, digest))
        except (CapstanError, FileNotFoundError) as error:  # a key that may not delete; it is refused where it lies
            log.warning("object.not_set_aside", project=project, digest=digest, error=str(error))
        return Condition.DAMAGED

    async def check(self) -> str | None:
        """For readiness: what is missing. Asked at most every five seconds."""
        now = self._clock()
        if self._checked is None or now - self._checked[0] >= _CHECK_EVERY_S:
            self._checked = (now, await self.bucket.diagnosis())
        return self._checked[1]

    async def _damaged(self, project: str, digest: str) -> Damaged:
        def fetch(file: BinaryIO) -> None:
            try:
                self.bucket.read_into(_aside(project, digest), file)
            except FileNotFoundError:  # it could not be moved
                self.bucket.read_into(_key(project, digest), file)

        copy = await anyio.to_thread.run_sync(self._cache.keep_damaged, project, digest, fetch)
        return Damaged(
            f"object {digest[:12]} of project {project} has other bytes than were stored; it is set aside as "
            f"damaged/{digest}",
            hint=PUT_BACK,
            copy=copy,
        )


def _aside(project: str, digest: str) -> str:
    return f"{project}/damaged/{digest}"


def _key(project: str, digest: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", digest) is None:
        raise Invalid("not a digest", errors=broken("digest", DIGEST_PATTERN))
    return f"{project}/sha256/{digest[:2]}/{digest}"
