"""Content-addressed bytes in an S3 bucket under `<prefix>/<project>/sha256/<2>/<digest>`, read through a cache."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final

import anyio
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from capstan_contracts.ids import DIGEST_PATTERN
from capstan_servicekit.errors import CapstanError, Invalid, NotFound, NotReady, Upstream, broken
from capstan_servicekit.objects.cache import ObjectCache
from capstan_servicekit.settings import ServiceSettings

_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_STATUS: Final = re.compile(r"status code: (\d{3})")
_KEYS: Final = "CAPSTAN_S3_ACCESS_KEY_ID and CAPSTAN_S3_SECRET_ACCESS_KEY"
_CHECK_EVERY_S: Final = 5.0
_CHUNK: Final = 8 << 20


class S3Bucket:
    """One bucket, spoken to in threads. The bucket is made by whoever installs the platform, never here."""

    def __init__(
        self,
        url: str,
        *,
        endpoint: str,
        region: str,
        access_key_id: str,
        secret_access_key: str,
        patience_s: float = 20,
    ) -> None:
        self.name, _, prefix = url.removeprefix("s3://").partition("/")
        self.prefix = prefix.strip("/")
        self.where = endpoint or f"Amazon S3 in {region}"
        keys = {"access_key_id": access_key_id, "secret_access_key": secret_access_key} if access_key_id else {}
        place = {"endpoint": endpoint.rstrip("/")} if endpoint else {}

        def store(retries: int, read_timeout: str) -> S3Store:
            return S3Store(
                self.name,
                region=region,
                # Servers other than Amazon's rarely have a name for each bucket.
                virtual_hosted_style_request=not endpoint,
                client_options={
                    "allow_http": endpoint.startswith("http://"), "connect_timeout": "2s",
                    "read_timeout": read_timeout, "timeout": "15m",
                },
                retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=patience_s)},
                **keys, **place,  # type: ignore[arg-type]  # a TypedDict is not seen through the merge
            )  # fmt: skip

        self._store, self._once = store(5, "20s"), store(0, "3s")

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> S3Bucket:
        """The bucket that the settings name."""
        return cls(
            settings.object_store_url,
            endpoint=settings.s3_endpoint,
            region=settings.s3_region,
            access_key_id=settings.s3_access_key_id,
            secret_access_key=settings.s3_secret_access_key.get_secret_value(),
        )

    async def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""
        return await anyio.to_thread.run_sync(self._exists, key)

    async def put(self, key: str, content: bytes | Path) -> None:
        """Store bytes or a file: readers see all of it or nothing. An object that is there stays as it is."""
        await anyio.to_thread.run_sync(self._put, key, content)

    def read_into(self, key: str, file: BinaryIO) -> None:
        """Write an object's bytes into a file; blocks, so only in a thread. FileNotFoundError where there is none."""
        with self._mapped(key):
            for chunk in obstore.get(self._store, self._full(key)).stream(min_chunk_size=_CHUNK):
                file.write(chunk)

    async def diagnosis(self) -> str | None:
        """What keeps the bucket from being used, as a sentence; None when it answers."""
        try:
            async with asyncio.timeout(5):
                await anyio.to_thread.run_sync(self._list, abandon_on_cancel=True)
        except TimeoutError:
            return f"{self.where} does not answer within 5 s; is CAPSTAN_S3_ENDPOINT right?"
        except CapstanError as error:
            return f"{error.detail}. {error.hint}".rstrip(". ")
        return None

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _exists(self, key: str) -> bool:
        with self._mapped(key):
            try:
                obstore.head(self._store, self._full(key))
            except FileNotFoundError:
                return False
        return True

    def _put(self, key: str, content: bytes | Path) -> None:
        if not self._exists(key):
            with self._mapped(key, writing=True):
                obstore.put(self._store, self._full(key), content)

    def _list(self) -> None:
        with self._mapped("", writing=True):
            obstore.list_with_delimiter(self._once, self._full("capstan-readiness"))

    @contextmanager
    def _mapped(self, key: str, *, writing: bool = False) -> Iterator[None]:
        """Foreign errors as ours; a missing object stays FileNotFoundError unless a write met it."""
        try:
            yield
        except FileNotFoundError as error:
            # Versity's gateway also says 404 to a key that it does not know: only a missing object is one.
            code = _CODE.search(str(error))
            if writing or (code is not None and code[1] != "NoSuchKey"):
                raise self._error(str(error), key) from error
            raise
        except BaseError as error:
            raise self._error(str(error), key) from error

    def _error(self, text: str, key: str) -> CapstanError:
        code = found[1] if (found := _CODE.search(text)) else ""
        status = int(found[1]) if (found := _STATUS.search(text)) else 0
        if code == "NoSuchBucket" or (status == 404 and not key and not code):
            return NotReady(
                f"bucket {self.name!r} is not there at {self.where}",
                hint="Create it, or name another one in CAPSTAN_OBJECT_STORE_URL.",
            )
        if status in (401, 403) or "UserNotFound" in code:
            return NotReady(
                f"{self.where} refuses the credentials for bucket {self.name!r} ({code or status})",
                hint=f"Set {_KEYS} to a key that may read and write there.",
            )
        if "redirect" in text:
            return NotReady(
                f"{self.where} says that bucket {self.name!r} lies elsewhere",
                hint="Set CAPSTAN_S3_REGION to the bucket's region.",
            )
        if status == 0:
            return NotReady(
                f"the object store at {self.where} cannot be reached",
                hint="Is CAPSTAN_S3_ENDPOINT right, and does it run?",
            )
        return Upstream(f"the object store at {self.where} answered {status} {code}".rstrip())


class S3ObjectStore:
    """The `ObjectStore` port on a bucket."""

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
            raise NotFound(f"no object {digest[:12]} in project {project}") from error

    async def exists(self, project: str, digest: str) -> bool:
        """Whether the object is there."""
        return await self.bucket.exists(_key(project, digest))

    async def check(self) -> str | None:
        """For readiness: what is missing. Asked at most every five seconds."""
        now = self._clock()
        if self._checked is None or now - self._checked[0] >= _CHECK_EVERY_S:
            self._checked = (now, await self.bucket.diagnosis())
        return self._checked[1]


def _key(project: str, digest: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", digest) is None:
        raise Invalid("not a digest", errors=broken("digest", DIGEST_PATTERN))
    return f"{project}/sha256/{digest[:2]}/{digest}"
