"""Reads packages. Nothing is unpacked to disk, and of large members nothing is held: one pass checks and hashes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from capstan_contracts.kinds.family import BrokenKind, UnknownKind
from capstan_formats.sketches import Baseline, SketchError
from capstan_formats.strict_json import JsonRuleError
from capstan_packages import archive
from capstan_packages.archive import Entry
from capstan_packages.contents import Member, Package
from capstan_packages.errors import HeaderError, PackageError
from capstan_packages.files import open_regular, read_at_most, refuse_large
from capstan_packages.header import BASELINE, MODEL_JSON, Header, parse
from capstan_packages.kinds.port import KINDS, PackageKind

MIB: Final = 1024 * 1024
HEADER_BYTES: Final = 8 * MIB
BASELINE_BYTES: Final = 64 * MIB


@dataclass(frozen=True, slots=True)
class _Opened:
    """An archive whose structure is known and whose header is read; its contents are not hashed yet."""

    header: Header
    raw_header: bytes
    entries: Mapping[str, Entry]


def read_package(path: Path, place: str | None = None) -> Package[Header]:
    """Read and check a package file, `place` being what errors call it (default: its name).

    PackageError names place and rule; FileNotFoundError, OSError. Memory is that of header and baseline, whatever the
    size of the other members. That an engine can load it is for the engine to say.
    """
    place = place or path.name
    with open_regular(path, place) as (file, size):
        opened = _open(file, size, place)
        digest, of_files = archive.digests(file, size, list(opened.entries.values()), place)
    members = {
        name: Member(name, path, opened.entries[name].offset, opened.entries[name].size, of_files[name])
        for name in opened.header.files
    }
    # The header decided what the package is; what was hashed must be that header.
    if members[MODEL_JSON].read(HEADER_BYTES) != opened.raw_header:
        raise PackageError(MODEL_JSON, "changed", "the file changed while it was read")
    return Package(opened.header, members, _baseline(members), digest, path)


def read_header(path: Path) -> Header:
    """The header alone, with the archive's list of files checked: a few reads, whatever the size of the members.

    Same errors as `read_package`; nothing is hashed, so the caller must know by other means that the bytes are right.
    """
    with open_regular(path, path.name) as (file, size):
        return _open(file, size, path.name).header


def header_of(data: bytes) -> Header:
    """The header out of the bytes of model.json. PackageError names the rule."""
    return _read_header(data)[0]


def kind_of(name: str) -> PackageKind:
    """The kind of package of that name. PackageError where it is unknown or broken; the text names the nearest."""
    try:
        return KINDS.get(name)
    except (UnknownKind, BrokenKind) as error:
        raise PackageError(MODEL_JSON, "kind", str(error)) from None


def check_files(header: Header, names: set[str]) -> None:
    """PackageError where a package lacks a file that its header lists, or has another one."""
    wanted = header.files
    for name in sorted(names - set(wanted)):
        raise PackageError(name[:128], "unknown-file", f"the header lists {', '.join(wanted)}")
    for name in wanted:
        if name not in names:
            raise PackageError(name, "missing-file", "the package lacks this file")


def _open(file: BinaryIO, size: int, place: str) -> _Opened:
    entries = archive.index(file, size, place)
    if MODEL_JSON not in entries:
        raise PackageError(MODEL_JSON, "missing-file", "the package lacks this file")
    file.seek(entries[MODEL_JSON].offset)
    data = read_at_most(file, entries[MODEL_JSON].size, HEADER_BYTES, MODEL_JSON)
    header, kind = _read_header(data)
    refuse_large(size, kind.total_bytes, place)
    check_files(header, set(entries))
    for name in header.files[1:]:
        refuse_large(entries[name].size, BASELINE_BYTES if name == BASELINE else kind.member_bytes, name)
    if tuple(entries) != header.files:
        raise PackageError(place, "canonical", "not in canonical form: the files are not in order")
    return _Opened(header, data, entries)


def _read_header(data: bytes) -> tuple[Header, PackageKind]:
    try:
        source = parse(data)
        name = source.get("kind")
        if not isinstance(name, str):
            raise HeaderError("kind must be str")
        kind = kind_of(name)
        header = kind.read(source)
    except (HeaderError, JsonRuleError) as error:
        raise PackageError(MODEL_JSON, "header", str(error)) from None
    if kind.baseline and not header.baseline:
        raise PackageError(MODEL_JSON, "header", f"a package of kind {name!r} must have a baseline")
    return header, kind


def _baseline(members: Mapping[str, Member]) -> Baseline | None:
    if BASELINE not in members:
        return None
    try:
        return Baseline.from_bytes(members[BASELINE].read(BASELINE_BYTES))
    except SketchError as error:
        raise PackageError(BASELINE, "baseline", str(error)) from None
