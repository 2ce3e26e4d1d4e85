"""Regular files, opened without following a link and without waiting on a pipe."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from capstan_packages.archive import NOT_REGULAR
from capstan_packages.errors import PackageError


@contextmanager
def open_regular(path: Path, place: str) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file and its size in bytes. PackageError for anything else, FileNotFoundError where there is none."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PackageError(place, "regular-file", f"cannot be opened: {error.strerror}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise PackageError(place, "regular-file", NOT_REGULAR)
    with os.fdopen(descriptor, "rb") as file:
        yield file, status.st_size


def read_at_most(file: BinaryIO, size: int, limit: int, place: str) -> bytes:
    """`size` bytes from where the file stands; PackageError where they are more than `limit` or fewer are there."""
    refuse_large(size, limit, place)
    data = file.read(size)
    if len(data) != size:
        raise PackageError(place, "truncated", f"{size} bytes announced, {len(data)} there")
    return data


def refuse_large(size: int, limit: int, place: str) -> None:
    """PackageError where a size is beyond its limit."""
    if size > limit:
        raise PackageError(place[:128], "size", f"larger than {limit} bytes")
