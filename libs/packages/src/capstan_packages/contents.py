"""What an engine reads of a package: the header, and each member by name, as bytes or as a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from capstan_formats.sketches import Baseline
from capstan_packages.archive import read_chunks
from capstan_packages.errors import PackageError
from capstan_packages.files import open_regular, read_at_most, refuse_large
from capstan_packages.header import Header

H_co = TypeVar("H_co", bound=Header, covariant=True)


@dataclass(frozen=True, slots=True)
class Member:
    """Where the bytes of a member lie. `sha256` is theirs when the package was checked; None: not checked yet."""

    name: str
    path: Path
    offset: int
    size: int
    sha256: str | None = None

    def read(self, limit: int | None = None) -> bytes:
        """All bytes. PackageError beyond `limit`, and when they are no longer those that were checked."""
        with open_regular(self.path, self.name) as (file, _):
            file.seek(self.offset)
            data = read_at_most(file, self.size, self.size if limit is None else limit, self.name)
        self._compare(hashlib.sha256(data).hexdigest() if self.sha256 else None)
        return data

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces of at most 1 MiB. PackageError at the end when they are not those that were checked."""
        digest = hashlib.sha256()
        with open_regular(self.path, self.name) as (file, _):
            file.seek(self.offset)
            for chunk in read_chunks(file, self.size, self.name):
                digest.update(chunk)
                yield chunk
        self._compare(digest.hexdigest())

    def _compare(self, sha256: str | None) -> None:
        if self.sha256 is not None and sha256 != self.sha256:
            raise PackageError(self.name, "changed", "the bytes are not those that were checked")


@dataclass(frozen=True, slots=True)
class Contents(Generic[H_co]):
    """Header and members, packed or not yet. Immutable; members are read from disk each time, by any thread."""

    header: H_co
    members: Mapping[str, Member] = field(repr=False)

    def member(self, name: str) -> Member:
        """The member of that name. PackageError where the package has none."""
        if name not in self.members:
            listed = ", ".join(self.members) or "none"
            raise PackageError(name, "missing-file", f"the package has no such member; there are: {listed}")
        return self.members[name]

    def read(self, name: str, limit: int | None = None) -> bytes:
        """All bytes of a member. PackageError where there is none, or beyond `limit` bytes."""
        return self.member(name).read(limit)


@dataclass(frozen=True, slots=True)
class Package(Contents[H_co]):
    """A package that has passed every check of its archive and header. `digest` is the sha256 in hex of the archive."""

    baseline: Baseline | None = field(repr=False)
    digest: str
    path: Path


def members_of(folder: Path, names: Iterable[str], limit: int) -> dict[str, Member]:
    """Files of a folder as members. PackageError for what is missing, no regular file or beyond `limit` bytes."""
    members = {}
    for name in names:
        try:
            with open_regular(folder / name, name) as (_, size):
                refuse_large(size, limit, name)
        except FileNotFoundError:
            raise PackageError(name, "missing-file", "the folder lacks this file") from None
        members[name] = Member(name, folder / name, 0, size)
    return members
