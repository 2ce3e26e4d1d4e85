"""Which files are known to have their digest: hashed once, then known by inode, size and time of the last write."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

AGAIN_S: Final = 24 * 3600
"""After so long a file is hashed again although nobody wrote: disks forget bits without moving a time."""

KEPT: Final = 100_000
"""Files that are remembered, at some 400 bytes each; the one that was hashed first is forgotten first."""

SETTLED_NS: Final = 20_000_000
"""Times of writing move in steps of up to 10 ms: a file that was hashed sooner after its writing is not remembered,
because one more write in the same step would not show."""

_LOCKS: Final = 16


def sha256_file(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class _Known:
    inode: int
    size: int
    written_ns: int
    digest: str
    hashed_at: float

    def still(self, status: os.stat_result, now: float) -> bool:
        same = (self.inode, self.size, self.written_ns) == (status.st_ino, status.st_size, status.st_mtime_ns)
        return same and now - self.hashed_at < AGAIN_S


class CheckedFiles:
    """Digests of files, for many threads. What was written meanwhile is hashed again at its next use."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[Path, _Known] = OrderedDict()
        # Those who ask for one file at once wait for one reading of it.
        self._locks = tuple(threading.Lock() for _ in range(_LOCKS))

    def digest_of(self, path: Path) -> str:
        """The sha256 of a file, hex, read only where it is not known. FileNotFoundError. In a thread."""
        with self._locks[hash(path) % _LOCKS]:
            known = self._known.get(path)
            if known is not None and known.still(path.stat(), self._clock()):
                return known.digest
            return self._hash(path)

    def note(self, path: Path, digest: str) -> None:
        """The file has just been written with this digest, so it need not be read for it."""
        self._keep(path, path.stat(), digest)

    def forget(self, path: Path) -> None:
        """Hash it at its next use, whatever is known."""
        self._known.pop(path, None)

    def _hash(self, path: Path) -> str:
        with path.open("rb") as file:
            # Taken before the reading: a write during it shows at the next use.
            status = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._keep(path, status, digest)
        return digest

    def _keep(self, path: Path, status: os.stat_result, digest: str) -> None:
        if time.time_ns() - status.st_mtime_ns < SETTLED_NS:
            self._known.pop(path, None)
            return
        self._known[path] = _Known(status.st_ino, status.st_size, status.st_mtime_ns, digest, self._clock())
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
