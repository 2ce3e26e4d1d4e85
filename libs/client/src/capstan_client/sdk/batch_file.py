"""What `capstan data upload` sends: a file as it is, a folder of part files as one tar."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from capstan_servicekit.errors import InvalidData, broken

_PACKED = (".gz", ".tar", ".tgz")


def batch_file(path: Path) -> tuple[bytes, str]:
    """(the bytes, the file name that tells their form); InvalidData for a folder without files.

    The tar depends on names and contents alone, so that the same folder sent twice is the same batch. Hidden files and
    markers travel along (ingestion reads `_SUCCESS`); links do not.
    """
    if not path.is_dir():
        return path.read_bytes(), path.name
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and not file.is_symlink()]
    if not files:
        raise InvalidData(f"{path} holds no file", errors=broken(str(path), "a file, or a folder of part files"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            entry = tarfile.TarInfo(file.relative_to(path).as_posix())
            entry.size, entry.mode, entry.mtime = file.stat().st_size, 0o644, 0
            with file.open("rb") as content:
                tar.addfile(entry, content)
    return buffer.getvalue(), f"{path.resolve().name}.tar"


def partition_of(path: Path) -> str:
    """The partition that a file's or folder's name tells: `2013-01` of `2013-01.csv.gz`."""
    name = path.resolve().name
    for ending in _PACKED:
        name = name.removesuffix(ending)
    return Path(name).stem
