"""A recipe folder as the archive that the platform takes: the same files give the same bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from capstan_servicekit.errors import InvalidSpec, broken

MAX_ARCHIVE = 32 << 20
MAX_UNPACKED = 64 << 20
"""What the training service takes (bytes)."""
LEFT_OUT = {"__pycache__", "data", "demo", "tests"}
_KEEP_OUT = "Keep data out of the recipe folder, or put it into a folder called data/, which is not packed."


def pack(folder: Path) -> bytes:
    """The folder as a tar.gz that depends on names and contents alone. InvalidSpec where a file cannot be packed."""
    buffer, total = io.BytesIO(), 0
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for path in files(folder):
            name = path.relative_to(folder).as_posix()
            total += path.stat().st_size
            if total > MAX_UNPACKED:
                raise _too_large(f"with {name} the recipe folder holds more than {MAX_UNPACKED >> 20} MB")
            content = _content(path, name)
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), 0o644, 0
            tar.addfile(info, io.BytesIO(content))
    if buffer.tell() > MAX_ARCHIVE:
        raise _too_large(f"the recipe folder is larger than {MAX_ARCHIVE >> 20} MB packed")
    return buffer.getvalue()


def files(folder: Path) -> Iterator[Path]:
    """What is packed, by name: no hidden file (secrets lie in them), no cache, no data. InvalidSpec for a link."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if LEFT_OUT.intersection(parts) or path.suffix == ".pyc" or any(part.startswith(".") for part in parts):
            continue
        if path.is_symlink():
            name = path.relative_to(folder).as_posix()
            raise InvalidSpec(
                f"{name} is a symbolic link, which is not packed",
                errors=broken(name, "a file, not a symbolic link"),
                hint="Put the file itself there, or the link into a folder called data/.",
            )
        if path.is_file():
            yield path


def _content(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidSpec(
            f"{name} cannot be read: {error.strerror}", errors=broken(name, "a file that can be read")
        ) from error


def _too_large(what: str) -> InvalidSpec:
    return InvalidSpec(
        what, errors=broken("recipe folder", f"at most {MAX_UNPACKED >> 20} MB, packed {MAX_ARCHIVE >> 20}"),
        hint=_KEEP_OUT,
    )  # fmt: skip
