"""Writes packages: the files of a folder, in the archive's one form."""

from __future__ import annotations

import os
from pathlib import Path

from capstan_packages import archive
from capstan_packages.contents import Contents, Member, members_of
from capstan_packages.errors import PackageError
from capstan_packages.files import open_regular
from capstan_packages.header import BASELINE, MODEL_JSON, Header
from capstan_packages.reader import BASELINE_BYTES, HEADER_BYTES, check_files, header_of, kind_of, read_package


def read_folder(folder: Path) -> Contents[Header]:
    """A package that is not packed yet: model.json and every file that it lists. PackageError names place and rule."""
    names = {entry.name for entry in folder.iterdir()}
    for name in sorted(names):
        archive.refuse_pickle(name, _first_bytes(folder / name))
    members = members_of(folder, [MODEL_JSON], HEADER_BYTES)
    header = header_of(members[MODEL_JSON].read())
    if header.baseline:
        members |= members_of(folder, [BASELINE], BASELINE_BYTES)
    members |= members_of(folder, header.members, kind_of(header.kind).member_bytes)
    check_files(header, names)
    return Contents(header, {name: members[name] for name in header.files})


def write_package(folder: Path, target: Path) -> str:
    """Pack a folder into `target`, atomically; returns the digest. Memory does not grow with the size of the members.

    What is written is read back under all the rules of `read_package` before it gets its name. PackageError names place
    and rule.
    """
    contents = read_folder(folder)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            archive.write(file, [_file(member) for member in contents.members.values()])
            file.flush()
            os.fsync(file.fileno())
        digest = read_package(partial, target.name).digest
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return digest


def _file(member: Member) -> archive.File:
    return member.name, member.size, member.chunks()


def _first_bytes(path: Path) -> bytes:
    try:
        with open_regular(path, path.name) as (file, _):
            return file.read(archive.MAGIC_BYTES)
    except FileNotFoundError:
        raise PackageError(path.name, "missing-file", "it went away while the folder was read") from None
