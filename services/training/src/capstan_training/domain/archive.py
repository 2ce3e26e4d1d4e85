"""Recipe archives (tar.gz): what may be inside, read as a stream under hard caps; no link is ever followed."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Final

MIB: Final = 1024 * 1024
GZIP_MAGIC: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that an archive may hold: entries, unpacked bytes (headers and padding included), name, depth."""

    entries: int = 2000
    unpacked: int = 64 * MIB
    name: int = 200
    depth: int = 12


class ArchiveError(ValueError):
    """An archive breaks a rule. `place` is the entry or `archive`."""

    def __init__(self, place: str, rule: str) -> None:
        super().__init__(f"{place}: {rule}")
        self.place, self.rule = place, rule


class _Capped(io.RawIOBase):
    """Reads an inflating stream and stops at the cap: a bomb is never unpacked further than that."""

    def __init__(self, inner: gzip.GzipFile, cap: int) -> None:
        self._inner, self._cap, self._seen = inner, cap, 0

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._cap - self._seen + 1
        data = self._inner.read(wanted if size < 0 else min(size, wanted))
        self._seen += len(data)
        if self._seen > self._cap:
            raise ArchiveError("archive", f"at most {self._cap} bytes when unpacked")
        return data


def members(stream: BinaryIO, caps: Caps | None = None) -> Iterator[tuple[PurePosixPath, bytes]]:
    """(path, content) of every file, in order. ArchiveError names the entry and the rule that it breaks."""
    caps = caps or Caps()
    if stream.read(2) != GZIP_MAGIC:
        raise ArchiveError("archive", "a tar.gz file")
    stream.seek(0)
    capped = _Capped(gzip.GzipFile(fileobj=stream), caps.unpacked)
    try:
        with tarfile.open(fileobj=capped, mode="r|") as tar:
            yield from _files(tar, caps)
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeError) as error:
        raise ArchiveError("archive", f"a whole tar.gz file ({error})") from error


def _files(tar: tarfile.TarFile, caps: Caps) -> Iterator[tuple[PurePosixPath, bytes]]:
    seen: set[PurePosixPath] = set()
    files: set[PurePosixPath] = set()
    for count, entry in enumerate(tar, start=1):
        if count > caps.entries:
            raise ArchiveError("archive", f"at most {caps.entries} entries")
        path = safe_path(entry.name, caps)
        shown = str(path)
        if not (entry.isreg() or entry.isdir()) or entry.issparse():
            raise ArchiveError(shown, "only files and folders: no link, device, pipe or sparse file")
        if entry.size < 0:
            raise ArchiveError(shown, "a size that is not negative")
        if entry.isdir():
            continue
        if path in seen or any(parent in files for parent in path.parents):
            raise ArchiveError(shown, "each path once, and no file below a file")
        seen.update((path, *path.parents))
        files.add(path)
        content = tar.extractfile(entry)
        yield path, content.read() if content is not None else b""
    if not files:
        raise ArchiveError("archive", "at least one file")


def safe_path(name: str, caps: Caps | None = None) -> PurePosixPath:
    """The path of an entry below the archive's root; ArchiveError for anything that could lead elsewhere."""
    caps = caps or Caps()
    path = PurePosixPath(name)
    shown = name[: caps.name].encode("utf-8", "replace").decode()
    if path.is_absolute() or ".." in path.parts or "\\" in name or (path.parts and ":" in path.parts[0]):
        raise ArchiveError(shown, "a relative path without '..', backslash or drive")
    if not name.isprintable():
        raise ArchiveError(repr(shown), "a name of printable characters")
    if len(name) > caps.name or len(path.parts) > caps.depth:
        raise ArchiveError(shown, f"a name of at most {caps.name} characters and {caps.depth} levels")
    return path
