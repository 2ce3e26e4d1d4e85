"""One S3 bucket, spoken to in threads, and its errors as ours."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import anyio
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from capstan_servicekit.errors import CapstanError, NotReady, Upstream
from capstan_servicekit.settings import ServiceSettings

_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_STATUS: Final = re.compile(r"status code: (\d{3})")
_KEYS: Final = "CAPSTAN_S3_ACCESS_KEY_ID and CAPSTAN_S3_SECRET_ACCESS_KEY"
_CHUNK: Final = 8 << 20


class Digest(Protocol):
    """A digest under way, of hashlib."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take these bytes in."""
        ...

    def hexdigest(self) -> str:
        """Of all that was taken in."""
        ...


Algorithm = Callable[[], Digest]


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

    async def digest_of(self, key: str, algorithm: Algorithm = hashlib.sha256) -> str:
        """The digest of an object's bytes, hex, streamed. FileNotFoundError."""
        return await anyio.to_thread.run_sync(self._digest_of, key, algorithm)

    async def move(self, key: str, to: str) -> None:
        """Give an object another key, in place of what is under it. FileNotFoundError."""
        await anyio.to_thread.run_sync(self._move, key, to)

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

    def _digest_of(self, key: str, algorithm: Algorithm) -> str:
        digest = algorithm()
        with self._mapped(key):
            for chunk in obstore.get(self._store, self._full(key)).stream(min_chunk_size=_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def _move(self, key: str, to: str) -> None:
        with self._mapped(key):
            obstore.rename(self._store, self._full(key), self._full(to), overwrite=True)

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
