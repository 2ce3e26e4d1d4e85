"""Files fetched from a distant object store, kept below home: bounded in bytes, the least recently used go first."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import anyio

from capstan_servicekit.errors import Damaged
from capstan_servicekit.objects.checked import CheckedFiles
from capstan_servicekit.objects.port import PUT_BACK
from capstan_servicekit.security.paths import under
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)

KEEP_S = 30 * 60
"""What was handed out within so many seconds stays, even beyond the bound: somebody may be about to read it."""

Fetch = Callable[[BinaryIO], None]
"""Writes the object's bytes; runs in a thread."""


class ObjectCache:
    """`<root>/<project>/<2>/<digest>`. A file appears by a rename once its bytes have the digest.

    One that has other bytes later is fetched again. The time of access says when a file was used last: that of
    writing stays, since it is one of the marks by which a checked file is known.
    """

    def __init__(self, root: Path, *, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._root, self._max_bytes, self._clock = root, max_bytes, clock
        self._checked = CheckedFiles()
        self._fetching: dict[tuple[str, str], asyncio.Task[Path]] = {}

    def path(self, project: str, digest: str) -> Path:
        """Where the object lies once it is here."""
        return under(self._root, f"{project}/{digest[:2]}/{digest}")

    async def get(self, project: str, digest: str, fetch: Fetch) -> Path:
        """The object's file, fetched when it is not here yet. Those who ask meanwhile wait for the same fetch."""
        path = self.path(project, digest)
        if await anyio.to_thread.run_sync(self._holds, path, digest):
            return path
        task = self._fetching.get((project, digest))
        if task is None:
            task = asyncio.create_task(anyio.to_thread.run_sync(self._fetch, project, digest, fetch))
            self._fetching[project, digest] = task
            task.add_done_callback(lambda done: self._ended(project, digest, done))
        # Whoever gives up waiting does not take the file from the others.
        return await asyncio.shield(task)

    def keep(self, source: Path, project: str) -> tuple[str, Path]:
        """A private copy of a file that is about to be stored; (digest, path). In a thread."""
        incoming = self._incoming()
        try:
            digest = hashlib.sha256()
            with source.open("rb") as reader, incoming.open("wb") as writer:
                while chunk := reader.read(1 << 20):
                    digest.update(chunk)
                    writer.write(chunk)
            path = self._publish(incoming, project, digest.hexdigest())
        except BaseException:
            incoming.unlink(missing_ok=True)
            raise
        return digest.hexdigest(), path

    def keep_damaged(self, project: str, digest: str, fetch: Fetch) -> Path:
        """The damaged bytes of an object as a file, for who can tell what is whole in them. In a thread."""
        path, incoming = self.path(project, digest).with_suffix(".damaged"), self._incoming()
        try:
            with incoming.open("wb") as file:
                fetch(file)
            path.parent.mkdir(parents=True, exist_ok=True)
            return incoming.replace(path)
        except BaseException:
            incoming.unlink(missing_ok=True)
            raise

    def _ended(self, project: str, digest: str, task: asyncio.Task[Path]) -> None:
        self._fetching.pop((project, digest), None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; when nobody did, it is not worth a complaint

    def _fetch(self, project: str, digest: str, fetch: Fetch) -> Path:
        incoming = self._incoming()
        try:
            with incoming.open("wb") as file:
                fetch(file)
            with incoming.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != digest:
                raise Damaged(
                    f"object {digest[:12]} of project {project} came with other bytes ({found[:12]}) than were stored",
                    hint=PUT_BACK,
                )
            return self._publish(incoming, project, digest)
        except BaseException:
            incoming.unlink(missing_ok=True)
            raise

    def _holds(self, path: Path, digest: str) -> bool:
        """Whether it is here and whole; then it counts as used now."""
        try:
            found = self._checked.digest_of(path)
            if found == digest:
                self._use(path)
                return True
        except FileNotFoundError:
            return False
        log.warning("objects.cached_file_damaged", digest=digest, found=found, file=str(path))
        path.unlink(missing_ok=True)
        return False

    def _use(self, path: Path) -> None:
        os.utime(path, ns=(int(self._clock() * 1e9), path.stat().st_mtime_ns))

    def _incoming(self) -> Path:
        folder = self._root / ".incoming"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / uuid.uuid4().hex

    def _publish(self, incoming: Path, project: str, digest: str) -> Path:
        path = self.path(project, digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with incoming.open("rb") as file:
            os.fsync(file.fileno())  # else the name may outlive a power cut, and the bytes not
        incoming.chmod(0o444)
        self._use(incoming)
        incoming.replace(path)
        self._checked.note(path, digest)
        self._shrink()
        return path

    def _shrink(self) -> None:
        """Remove the least recently used files until the bound holds, and fetches that died."""
        now = self._clock()
        found: list[tuple[float, int, Path]] = []
        for path in self._root.rglob("*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                found.append((status.st_atime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for used, size, path in sorted(found):
            dead = path.parent == self._root / ".incoming"
            if now - used < KEEP_S or not (total > self._max_bytes or dead):
                continue
            path.unlink(missing_ok=True)
            total -= size
        if total > self._max_bytes:
            log.warning("objects.cache_over_its_bound", bytes=total, bound=self._max_bytes)
