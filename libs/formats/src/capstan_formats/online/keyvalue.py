"""The online store of a view in a key-value server (Redis): packed entities as in the files, read in one round trip.

    capstan:{<project>/<view>}:current            the name of the generation in use; braces keep a view on one shard
    capstan:{<project>/<view>}:<generation>:meta  schema, dataset version, watermark, entities
    capstan:{<project>/<view>}:<generation>:rows  a hash: packed key -> all rows of the entity

A generation never changes once it is named. After a switch the one before it stays for a while, so that whoever has
just read the pointer finds its rows. Nothing here opens a connection: the client is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol

from capstan_formats.online.entities import EntityCodec, OnlineEntity
from capstan_formats.online.rows import OnlineCodecError, encode_key
from capstan_formats.online.store import (
    Meta,
    OnlineSchema,
    OnlineStoreError,
    ViewNotMaterializedError,
    check_view,
    meta_from_bytes,
)

Key = Sequence[Any]


class Pipeline(Protocol):
    """Commands that are sent together; the part of redis-py's pipeline that is used."""

    def get(self, name: str, /) -> Any:
        """GET."""
        ...

    def hmget(self, name: str, keys: list[Any], /) -> Any:
        """HMGET."""
        ...

    def execute(self) -> list[Any]:
        """All answers, in order."""
        ...


class KeyValueClient(Protocol):
    """The part of redis-py's client that is used; answers are bytes."""

    def pipeline(self, transaction: bool, /) -> Pipeline:
        """Commands to send together."""
        ...


class OnlineServerAway(OnlineStoreError):
    """The server did not answer, or not in time."""


class ViewKeys(NamedTuple):
    """Names of what belongs to one view."""

    project: str
    view: str

    @property
    def current(self) -> str:
        """The pointer."""
        return f"capstan:{{{self.project}/{self.view}}}:current"

    def meta(self, generation: str) -> str:
        """What a generation says of itself."""
        return f"capstan:{{{self.project}/{self.view}}}:{generation}:meta"

    def rows(self, generation: str) -> str:
        """The rows of a generation."""
        return f"capstan:{{{self.project}/{self.view}}}:{generation}:rows"


class ViewRows(NamedTuple):
    """One entity or None per key, and the schema that they were read under."""

    schema: OnlineSchema
    rows: list[OnlineEntity | None]


Answer = ViewRows | OnlineStoreError | OnlineCodecError
"""What a read of one view gives. A view that cannot be read is a value, so that it does not cost the others theirs."""


class _Generation(NamedTuple):
    name: str
    meta: Meta
    codec: EntityCodec


class OnlineServerReader:
    """Reads any number of views at once; threads may share it, as far as they may share the client."""

    def __init__(self, client: KeyValueClient, failures: tuple[type[Exception], ...]) -> None:
        """`failures` is what the client raises when the server is away or refuses."""
        self._client, self._failures = client, failures
        self._generations: dict[ViewKeys, _Generation] = {}

    def schema(self, project: str, view: str) -> OnlineSchema:
        """The schema last seen, or asked for now. ViewNotMaterializedError, OnlineStoreError."""
        keys = ViewKeys(project, check_view(view))
        generation = self._generations.get(keys)
        if generation is None:
            (pointer,) = self._send([("get", keys.current)])
            generation = self._learn(keys, self._named(keys, pointer), None)
        return generation.meta.schema

    def meta(self, project: str, view: str) -> Meta:
        """Meta of the generation in use now. ViewNotMaterializedError, OnlineStoreError."""
        keys = ViewKeys(project, check_view(view))
        (pointer,) = self._send([("get", keys.current)])
        return self._learn(keys, self._named(keys, pointer), None).meta

    def get(self, project: str, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Answer]:
        """For each (view, keys) its rows, in order. One round trip, and one more for views with a new generation.

        OnlineServerAway when the server is; parts of a key in the order of the schema's keys, null parts find nothing.
        """
        reads = [_Read(ViewKeys(project, check_view(view)), keys) for view, keys in wanted]
        self._first_trip([read for read in reads if read.answer is None])
        self._second_trip([read for read in reads if read.answer is None])
        return [read.answer for read in reads if read.answer is not None]

    def probe(self) -> None:
        """Ask something. OnlineServerAway when there is no answer."""
        self._send([("get", "capstan:probe")])

    def _first_trip(self, reads: list[_Read]) -> None:
        """The pointer, and rows of the generation that it named last time: nearly always it still does."""
        commands: list[tuple[Any, ...]] = []
        for read in reads:
            read.generation = self._generations.get(read.keys)
            commands.append(("get", read.keys.current))
            if read.generation is not None:
                commands.append(("hmget", read.keys.rows(read.generation.name), read.fields))
        answers = iter(self._send(commands))
        for read in reads:
            pointer = next(answers)
            cells: Sequence[bytes | None] = next(answers) if read.generation is not None else ()
            try:
                name = self._named(read.keys, pointer)
                if read.generation is not None and read.generation.name == name:
                    read.unpack(cells)
                else:
                    read.moved_to = name
            except OnlineStoreError as error:
                read.answer = error

    def _second_trip(self, reads: list[_Read]) -> None:
        if not reads:
            return
        commands: list[tuple[Any, ...]] = []
        for read in reads:
            commands += (
                ("get", read.keys.meta(read.moved_to)),
                ("hmget", read.keys.rows(read.moved_to), read.fields),
            )
        answers = iter(self._send(commands))
        for read in reads:
            meta, cells = next(answers), next(answers)
            try:
                read.generation = self._learn(read.keys, read.moved_to, meta or b"")
                read.unpack(cells)
            except OnlineStoreError as error:
                read.answer = error

    def _send(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        if not commands:
            return []
        pipeline = self._client.pipeline(False)
        try:
            for command, *arguments in commands:
                getattr(pipeline, command)(*arguments)
            return list(pipeline.execute())
        except self._failures as error:
            raise OnlineServerAway(f"the online store does not answer: {type(error).__name__}") from error

    def _named(self, keys: ViewKeys, pointer: bytes | None) -> str:
        if pointer is None:
            self._generations.pop(keys, None)
            raise ViewNotMaterializedError(f"view {keys.view!r} has nothing online yet")
        return pointer.decode("ascii", "replace")

    def _learn(self, keys: ViewKeys, name: str, data: bytes | None) -> _Generation:
        former = self._generations.get(keys)
        if former is not None and former.name == name:
            return former
        if data is None:
            (data,) = self._send([("get", keys.meta(name))])
        meta = meta_from_bytes(data or b"", f"the online store's view {keys.view!r}")
        if former is not None and former.meta.schema == meta.schema:
            meta = replace(meta, schema=former.meta.schema)  # whoever compares schemas finds the same object
        generation = self._generations[keys] = _Generation(name, meta, EntityCodec(meta.schema.columns))
        return generation


class _Read:
    """One view's part of a read."""

    def __init__(self, keys: ViewKeys, wanted: Sequence[Key]) -> None:
        self.keys = keys
        self.answer: Answer | None = None
        self.generation: _Generation | None = None
        self.moved_to = ""
        self._encoded: list[bytes | None] = []
        try:
            self._encoded = [None if None in key else encode_key(key) for key in wanted]
        except OnlineCodecError as error:
            self.answer = error
        # Rows that share an entity ask for it once. A command without fields is none: one that no key has is asked for.
        self.fields: list[bytes] = list(dict.fromkeys(key for key in self._encoded if key is not None)) or [_NO_KEY]

    def unpack(self, cells: Sequence[bytes | None]) -> None:
        """The answer from the values of `fields`."""
        assert self.generation is not None
        codec, by_field = self.generation.codec, dict(zip(self.fields, cells, strict=True))
        rows = [
            None if key is None or (cell := by_field[key]) is None else OnlineEntity(codec, cell)
            for key in self._encoded
        ]
        self.answer = ViewRows(self.generation.meta.schema, rows)


_NO_KEY: Final = b""
