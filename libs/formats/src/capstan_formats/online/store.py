"""Where a view's generations lie: one SQLite file each, and a pointer file that names the one in use."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from capstan_formats.online.rows import OnlineCodecError, OnlineColumn, column_from_json
from capstan_formats.strict_json import JsonRuleError, need, read_object, write_json

FORMAT: Final = "capstan.online/2"
"""A generation of another format is refused, never misread: the feature store then makes the view anew."""
SUFFIX: Final = ".online"
#: Bytes of a generation that readers map instead of copying pages out of it.
MAPPED: Final = 1 << 30
_VIEW: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class OnlineStoreError(RuntimeError):
    """The store of a view cannot be read or written; the message says what and where."""


class ViewNotMaterializedError(OnlineStoreError):
    """Nothing was ever written for this view."""


class ForeignFormatError(OnlineStoreError):
    """The generation is of another format, that of an earlier or later release: the view is to be made anew."""


class NewerOnlineError(OnlineStoreError):
    """The view already holds a later version of its dataset, so that this one is not to replace it."""


@dataclass(frozen=True, slots=True)
class OnlineSchema:
    """A view as the online store knows it: version, typed key and columns, ttl in seconds of event time."""

    view: str
    version: str
    keys: tuple[OnlineColumn, ...]
    columns: tuple[OnlineColumn, ...]
    ttl_s: int | None = None

    def __post_init__(self) -> None:
        check_view(self.view)
        names = [column.name for column in (*self.keys, *self.columns)]
        if not self.keys or len(set(names)) != len(names):
            raise OnlineStoreError(f"view {self.view!r}: at least one key, and no name twice")
        if any(key.dtype == "float64" for key in self.keys):
            raise OnlineStoreError(f"view {self.view!r}: a float is no key")
        if self.ttl_s is not None and self.ttl_s <= 0:
            raise OnlineStoreError(f"view {self.view!r}: ttl_s must be above 0, or null")

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `from_json` reads back."""
        return {
            "view": self.view,
            "version": self.version,
            "keys": [{"name": column.name, "dtype": column.dtype} for column in self.keys],
            "columns": [{"name": column.name, "dtype": column.dtype} for column in self.columns],
            "ttl_s": self.ttl_s,
        }

    @classmethod
    def from_json(cls, source: Mapping[str, Any]) -> OnlineSchema:
        """Checks and reads what `to_json` wrote. OnlineStoreError says what is wrong."""
        try:
            return cls(
                view=need(source, "view", str),
                version=need(source, "version", str),
                keys=tuple(column_from_json(entry) for entry in need(source, "keys", list)),
                columns=tuple(column_from_json(entry) for entry in need(source, "columns", list)),
                ttl_s=need(source, "ttl_s", (int, type(None))),
            )
        except (JsonRuleError, OnlineCodecError) as error:
            raise OnlineStoreError(f"the schema of the view is damaged: {error}") from None


@dataclass(frozen=True, slots=True)
class Meta:
    """What a generation says of itself.

    `sequence` is that of the dataset version behind it; the watermark is the newest event time that it is complete up
    to; `rows` counts entities.
    """

    schema: OnlineSchema
    sequence: int
    watermark: int | None
    rows: int

    def to_bytes(self) -> bytes:
        """Canonical JSON for the meta table."""
        return write_json(
            {
                "format": FORMAT,
                "schema": self.schema.to_json(),
                "sequence": self.sequence,
                "watermark": self.watermark,
                "rows": self.rows,
            }
        )


def check_follows(schema: OnlineSchema, sequence: int, online: Meta) -> None:
    """A definition's values never move to an earlier version of the dataset. NewerOnlineError."""
    if schema == online.schema and sequence < online.sequence:
        raise NewerOnlineError(
            f"view {schema.view!r} holds version number {online.sequence} of its dataset online, which is newer than "
            f"number {sequence}"
        )


def check_view(view: str) -> str:
    """The name, if it is one: it becomes part of file names. OnlineStoreError otherwise."""
    if not _VIEW.fullmatch(view):
        raise OnlineStoreError(f"{view[:64]!r} is not the name of a view")
    return view


def pointer_path(folder: Path, view: str) -> Path:
    """The file that names the generation in use."""
    return folder / f"{check_view(view)}.current"


def read_pointer(folder: Path, view: str) -> Path:
    """The generation in use. ViewNotMaterializedError where there is none."""
    try:
        name = pointer_path(folder, view).read_text("utf-8").strip()
    except FileNotFoundError:
        raise ViewNotMaterializedError(f"view {view!r} has nothing online yet") from None
    if not is_generation(name, view):
        raise OnlineStoreError(f"the pointer of view {view!r} names {name[:64]!r}, which is not one of its files")
    return folder / name


def is_generation(name: str, view: str) -> bool:
    """Whether a file name is a generation of this view (and not of one whose name begins alike)."""
    return re.fullmatch(re.escape(view) + r"\.[0-9a-f]{32}" + re.escape(SUFFIX), name) is not None


def switch_pointer(folder: Path, view: str, generation: Path) -> None:
    """Names another generation, atomically and lastingly."""
    target = pointer_path(folder, view)
    partial = target.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(generation.name.encode())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect(path: Path) -> sqlite3.Connection:
    """Read-only and immutable: without locks, for a generation never changes once it is named.

    Only one thread at a time may use it. OnlineStoreError where the file is gone or no database.
    """
    connection: sqlite3.Connection | None = None
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        # SQLite opens the file on first use: from here on it may be unlinked.
        connection.execute("SELECT 1 FROM meta").fetchone()
        connection.execute(f"PRAGMA mmap_size = {MAPPED}")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise OnlineStoreError(f"{path.name} cannot be opened: {error}") from None
    return connection


def meta_from_bytes(data: bytes, place: str) -> Meta:
    """What `Meta.to_bytes` wrote. OnlineStoreError names the place where it is damaged."""
    try:
        source = read_object(data)
        if source.get("format") != FORMAT:
            raise ForeignFormatError(f"{place}: format must be {FORMAT!r}, not {source.get('format')!r:.64}")
        schema = OnlineSchema.from_json(need(source, "schema", dict))
        watermark = need(source, "watermark", (int, type(None)))
        return Meta(schema, need(source, "sequence", int), watermark, need(source, "rows", int))
    except JsonRuleError as error:
        raise OnlineStoreError(f"{place}: meta is damaged: {error}") from None


def read_meta(connection: sqlite3.Connection, path: Path) -> Meta:
    """The meta table of a generation. OnlineStoreError where it is damaged."""
    try:
        (data,) = connection.execute("SELECT value FROM meta").fetchone()
        return meta_from_bytes(bytes(data), path.name)
    except (sqlite3.Error, TypeError) as error:
        raise OnlineStoreError(f"{path.name}: meta is damaged: {error}") from None
