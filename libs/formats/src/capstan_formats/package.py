"""A model package: one uncompressed tar of fixed names, order and headers, whose sha256 is its identity."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from capstan_formats.booster_text import BoosterTextError, check_booster_text
from capstan_formats.manifest import ManifestError, ModelManifest
from capstan_formats.sketches import Baseline, SketchError

MODEL_JSON: Final = "model.json"
BOOSTER: Final = "model.txt"
BASELINE: Final = "baseline.json"
MIB: Final = 1024 * 1024
#: Every member a package has, in the order of the tar, with the most bytes it may have.
MEMBERS: Final[Mapping[str, int]] = {BASELINE: 64 * MIB, MODEL_JSON: 8 * MIB, BOOSTER: 512 * MIB}
MAX_BYTES: Final = 640 * MIB

_PICKLE_SUFFIXES = (".pkl", ".pickle", ".p", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth", ".npy", ".npz")
NOT_REGULAR: Final = "only regular files: no link, folder, device or special header"
BLOCK: Final = 512
_ZIP_MAGIC = b"PK\x03\x04"


class PackageError(ValueError):
    """A package breaks a rule. `place` is the file or member, `rule` a stable word for the rule."""

    def __init__(self, place: str, rule: str, detail: str) -> None:
        super().__init__(f"{place}: {detail} [{rule}]")
        self.place = place
        self.rule = rule
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A package that has passed every check. `digest` is the sha256 in hex of the tar."""

    manifest: ModelManifest
    booster_bytes: bytes = field(repr=False)
    baseline: Baseline = field(repr=False)
    digest: str


def write_package(folder: Path, target: Path) -> str:
    """Packs model.json, model.txt and baseline.json of a folder into `target`, atomically; returns the digest.

    What is written is first read back under all the rules of `read_package`. PackageError names place and rule.
    """
    names = sorted(entry.name for entry in folder.iterdir())
    for name in names:
        if name not in MEMBERS:
            _refuse_member(name, _first_bytes(folder / name))
    members = {name: _read_member(folder / name, limit) for name, limit in MEMBERS.items()}
    data = _tar(members)
    digest = parse_package(data, str(target.name)).digest
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return digest


def read_package(path: Path) -> ModelPackage:
    """Reads and checks a package file. PackageError names place and rule; nothing is unpacked to disk."""
    return parse_package(_read_regular(path, MAX_BYTES), path.name)


def parse_package(data: bytes, place: str = "package") -> ModelPackage:
    """The same for bytes at hand; `place` is how errors call them."""
    if len(data) > MAX_BYTES:
        raise PackageError(place, "size", f"larger than {MAX_BYTES} bytes")
    members = _members(data, place)
    for name in MEMBERS:
        if name not in members:
            raise PackageError(name, "missing-file", "the package lacks this file")
    # Whatever the reader above let pass (dates, owners, order, bytes after the end) would give one model two digests.
    if _tar(members) != data:
        raise PackageError(place, "canonical", "not in canonical form: headers, order or padding differ")
    booster = members[BOOSTER]
    _refuse_pickle(BOOSTER, booster[:16])
    try:
        width = check_booster_text(booster)
    except BoosterTextError as error:
        raise PackageError(BOOSTER, "booster-text", str(error)) from None
    try:
        manifest = ModelManifest.from_bytes(members[MODEL_JSON])
    except ManifestError as error:
        raise PackageError(MODEL_JSON, "manifest", str(error)) from None
    if width != len(manifest.features):
        raise PackageError(BOOSTER, "signature", f"reads {width} columns, {MODEL_JSON} makes {len(manifest.features)}")
    try:
        baseline = Baseline.from_bytes(members[BASELINE])
    except SketchError as error:
        raise PackageError(BASELINE, "baseline", str(error)) from None
    return ModelPackage(manifest, booster, baseline, hashlib.sha256(data).hexdigest())


def _members(data: bytes, place: str) -> dict[str, bytes]:
    """The files of a plain ustar archive. `tarfile` would follow far more than a package may hold."""
    found: dict[str, bytes] = {}
    offset = 0
    while len(data) - offset >= BLOCK and data[offset] != 0:
        header = data[offset : offset + BLOCK]
        if header[257:262] != b"ustar":
            raise PackageError(place, "tar", f"not an uncompressed tar: no header at byte {offset}")
        name = _text(header[345:500]) + _text(header[:100])
        size = _size(header, name)
        content = data[offset + BLOCK : offset + BLOCK + size]
        _check_header(name, header[156:157], size, found)
        if name not in MEMBERS:
            _refuse_member(name, content[:16])
        if len(content) != size:
            raise PackageError(name, "truncated", f"{size} bytes announced, {len(content)} there")
        found[name] = content
        offset += BLOCK + -(-size // BLOCK) * BLOCK
    if not found:
        raise PackageError(place, "tar", "not an uncompressed tar, or an empty one")
    return found


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _size(header: bytes, name: str) -> int:
    digits = header[124:136].rstrip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise PackageError(name[:128], "tar", "the header has no octal size")
    return int(digits, 8)


def _check_header(name: str, kind: bytes, size: int, found: Mapping[str, bytes]) -> None:
    shown = name[:128]
    if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
        raise PackageError(shown, "path", "the name leads out of the package")
    if kind != b"0":
        raise PackageError(shown, "regular-file", NOT_REGULAR)
    if name in found:
        raise PackageError(shown, "duplicate", "the file appears twice")
    if size > MEMBERS.get(name, MAX_BYTES):
        raise PackageError(shown, "size", f"larger than {MEMBERS.get(name, MAX_BYTES)} bytes")


def _refuse_member(name: str, start: bytes) -> None:
    shown = name[:128]
    if name.lower().endswith(_PICKLE_SUFFIXES):
        raise PackageError(shown, "no-pickle", "a serialized object that runs code when it is loaded is never taken")
    _refuse_pickle(shown, start)
    raise PackageError(shown, "unknown-file", f"a package has only {', '.join(MEMBERS)}")


def _refuse_pickle(place: str, start: bytes) -> None:
    """Pickle protocols 2 to 5 open with 0x80 and their number; PyTorch and joblib wrap pickles in zip files."""
    if (len(start) > 1 and start[0] == 0x80 and start[1] in (2, 3, 4, 5)) or start.startswith(_ZIP_MAGIC):
        raise PackageError(place, "no-pickle", "the content is a pickle or an archive of them")


def _read_member(path: Path, limit: int) -> bytes:
    try:
        return _read_regular(path, limit)
    except FileNotFoundError:
        raise PackageError(path.name, "missing-file", "the folder lacks this file") from None


def _first_bytes(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise PackageError(path.name, "regular-file", NOT_REGULAR)
    with path.open("rb") as file:
        return file.read(16)


def _read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file. Opened without following a link and without waiting on a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PackageError(path.name, "regular-file", f"cannot be opened: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PackageError(path.name, "regular-file", NOT_REGULAR)
        if status.st_size > limit:
            raise PackageError(path.name, "size", f"larger than {limit} bytes")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    # It may have grown since.
    if len(data) > limit:
        raise PackageError(path.name, "size", f"larger than {limit} bytes")
    return data


def _tar(members: Mapping[str, bytes]) -> bytes:
    """The one form of a package: ustar, names in order, mode 0644, owner 0, time 0."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(members):
            info = tarfile.TarInfo(name)
            info.size = len(members[name])
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(members[name]))
    return buffer.getvalue()
