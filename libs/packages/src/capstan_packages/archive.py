"""The archive of a package: one uncompressed ustar with one form, so that equal contents have one digest.

Files lie in a set order, mode 0644, owner 0, time 0, zeros between and after them. `tarfile` would follow far more than
a package may hold, so headers are read here; they are compared with the one right form, not interpreted.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from capstan_packages.errors import PackageError

BLOCK: Final = 512
RECORD: Final = tarfile.RECORDSIZE
CHUNK: Final = 1024 * 1024
#: More than any package has; a long list of empty files is refused before it is walked.
MAX_ENTRIES: Final = 1100

NOT_REGULAR: Final = "only regular files: no link, folder, device or special header"
_PICKLE_SUFFIXES = (".pkl", ".pickle", ".p", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth", ".npy", ".npz")
_ZIP_MAGIC = b"PK\x03\x04"
#: Bytes of a member that tell a pickle.
MAGIC_BYTES: Final = 16


#: Name, size in bytes and content of a file to be written.
File = tuple[str, int, Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a file's content lies in the archive, in bytes."""

    name: str
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Where the next header may begin: content is padded to whole blocks."""
        return self.offset + -(-self.size // BLOCK) * BLOCK


def index(file: BinaryIO, size: int, place: str) -> dict[str, Entry]:
    """The files of an archive of `size` bytes by name, in their order; contents are passed over, not read.

    PackageError for what is no tar, for names that lead elsewhere, links, repetitions, pickles and missing bytes.
    """
    entries: dict[str, Entry] = {}
    at = 0
    while size - at >= BLOCK:
        file.seek(at)
        header = file.read(BLOCK)
        if header[:1] == b"\0":
            break
        if header[257:262] != b"ustar":
            raise PackageError(place, "tar", f"not an uncompressed tar: no header at byte {at}")
        name = _text(header[345:500]) + _text(header[:100])
        entry = Entry(name, at + BLOCK, _size(header, name))
        _check_entry(entry, header[156:157], entries)
        refuse_pickle(name, file.read(min(MAGIC_BYTES, entry.size)))
        if entry.offset + entry.size > size:
            raise PackageError(name, "truncated", f"{entry.size} bytes announced, {max(size - entry.offset, 0)} there")
        entries[name] = entry
        if len(entries) > MAX_ENTRIES:
            raise PackageError(place, "size", f"more than {MAX_ENTRIES} files")
        at = entry.end
    if not entries:
        raise PackageError(place, "tar", "not an uncompressed tar, or an empty one")
    return entries


def digests(file: BinaryIO, size: int, entries: Sequence[Entry], place: str) -> tuple[str, Mapping[str, str]]:
    """The sha256 in hex of the archive and of each file, in one pass of bounded memory.

    PackageError where any byte outside the contents differs from the one form (a date, an owner, the order, bytes after
    the end): it would give one model two digests.
    """
    whole, of_files = hashlib.sha256(), {}
    file.seek(0)
    for entry in entries:
        _expect(file, header_block(entry.name, entry.size), whole, place)
        content = hashlib.sha256()
        for chunk in read_chunks(file, entry.size, entry.name):
            whole.update(chunk)
            content.update(chunk)
        of_files[entry.name] = content.hexdigest()
        _expect(file, bytes(entry.end - entry.offset - entry.size), whole, place)
    rest = trailer(entries[-1].end)
    if size != entries[-1].end + len(rest):
        raise _not_canonical(place)
    _expect(file, rest, whole, place)
    return whole.hexdigest(), of_files


def read_chunks(file: BinaryIO, size: int, place: str) -> Iterator[bytes]:
    """`size` bytes from where the file stands. PackageError when it ends before."""
    left = size
    while left:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise PackageError(place, "truncated", f"{size} bytes announced, {size - left} there")
        left -= len(chunk)
        yield chunk


def write(target: BinaryIO, files: Sequence[File]) -> None:
    """Write (name, size, content) in the order given, in the one form. PackageError when a content has another size."""
    at = 0
    for name, size, content in files:
        target.write(header_block(name, size))
        written = 0
        for chunk in content:
            target.write(chunk)
            written += len(chunk)
        if written != size:
            raise PackageError(name, "changed", f"{size} bytes announced, {written} read: it changed meanwhile")
        padding = -size % BLOCK
        target.write(bytes(padding))
        at += BLOCK + size + padding
    target.write(trailer(at))


def header_block(name: str, size: int) -> bytes:
    """The one header that a file of this name and size may have. PackageError when ustar cannot hold them."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    try:
        return info.tobuf(format=tarfile.USTAR_FORMAT)
    except ValueError as error:
        raise PackageError(name[:128], "tar", f"does not fit into a ustar header: {error}") from None


def trailer(at: int) -> bytes:
    """What follows the last file: two empty blocks, and zeros up to a whole record, as tar writes it."""
    end = at + 2 * BLOCK
    return bytes(2 * BLOCK + -end % RECORD)


def refuse_pickle(name: str, start: bytes) -> None:
    """PackageError for a name or first bytes of what runs code when it is loaded.

    Pickle protocols 2 to 5 open with 0x80 and their number; PyTorch and joblib wrap pickles in zip files.
    """
    if name.lower().endswith(_PICKLE_SUFFIXES):
        detail = "a serialized object that runs code when it is loaded is never taken"
        raise PackageError(name[:128], "no-pickle", detail)
    if (len(start) > 1 and start[0] == 0x80 and start[1] in (2, 3, 4, 5)) or start.startswith(_ZIP_MAGIC):
        raise PackageError(name[:128], "no-pickle", "the content is a pickle or an archive of them")


def _expect(file: BinaryIO, wanted: bytes, digest: hashlib._Hash, place: str) -> None:
    if file.read(len(wanted)) != wanted:
        raise _not_canonical(place)
    digest.update(wanted)


def _not_canonical(place: str) -> PackageError:
    return PackageError(place, "canonical", "not in canonical form: headers, order or padding differ")


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _size(header: bytes, name: str) -> int:
    digits = header[124:136].rstrip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise PackageError(name[:128], "tar", "the header has no octal size")
    return int(digits, 8)


def _check_entry(entry: Entry, kind: bytes, entries: Mapping[str, Entry]) -> None:
    name, shown = entry.name, entry.name[:128]
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
        raise PackageError(shown, "path", "the name leads out of the package")
    if kind != b"0":
        raise PackageError(shown, "regular-file", NOT_REGULAR)
    if name in entries:
        raise PackageError(shown, "duplicate", "the file appears twice")
