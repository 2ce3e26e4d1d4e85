"""Reads and writes of an online view: our SQLite generation beside LMDB and a mapped hash file, with the same codec.

Run: python libs/formats/bench/online_store.py [--entities 100000] [--rows 1] [--folder DIR]. LMDB is left out where
`lmdb` is not installed. Figures are microseconds per call, median of all calls, keys drawn at random; a call reads,
chooses the row of the moment and unpacks it. With `--rows` above 1 each entity has so many rows ahead of now.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import json
import mmap
import random
import sqlite3
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from capstan_formats.online import (
    EntityCodec,
    EntityRow,
    OnlineColumn,
    OnlineReader,
    OnlineSchema,
    OnlineWriter,
    encode_key,
    look_up,
)

COLUMNS = tuple(OnlineColumn(f"f{index}", "float64") for index in range(10))
SCHEMA = OnlineSchema("bench", "0" * 64, (OnlineColumn("entity", "string"),), COLUMNS)
CODEC = EntityCodec(COLUMNS)
LATE = 1 << 50
SIZES = (1, 10, 100)
Get = Callable[[Sequence[tuple[str]]], list[Any]]


def rows(entities: int, each: int = 1) -> Iterable[EntityRow]:
    """The same rows for every store."""
    source = random.Random(1)
    for number in range(entities):
        for turn in range(each):
            values = tuple(source.random() for _ in COLUMNS)
            yield EntityRow((f"entity-{number}",), number + turn, number + turn, values)


def packed(entities: int) -> Iterable[tuple[bytes, bytes]]:
    """The same as bytes."""
    for row in rows(entities):
        yield encode_key(row.key), CODEC.pack([row])


def sqlite_generation(folder: Path, entities: int, each: int = 1) -> tuple[Get, int]:
    """What the library does."""
    with OnlineWriter(folder, SCHEMA) as writer:
        writer.write(rows(entities, each))
        generation = writer.commit()
    read = OnlineReader(folder, "bench").get
    return lambda keys: [look_up(entity, LATE, None) for entity in read(keys)], generation.path.stat().st_size


def sqlite_locking(folder: Path, entities: int) -> tuple[Get, int]:
    """The same table read with locks, one statement per key."""
    path = folder / "locking.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
    connection.executemany("INSERT INTO kv VALUES (?, ?)", packed(entities))
    connection.commit()
    connection.close()
    execute = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True).execute

    def get(keys: Sequence[tuple[str]]) -> list[Any]:
        found = [execute("SELECT value FROM kv WHERE key = ?", (encode_key(key),)).fetchone() for key in keys]
        return [CODEC.look_up(row[0], LATE, None) for row in found]

    return get, path.stat().st_size


def lmdb_file(folder: Path, entities: int) -> tuple[Get, int]:
    """LMDB, one read transaction per call."""
    lmdb: Any = importlib.import_module("lmdb")
    path = folder / "lmdb"
    environment = lmdb.open(str(path), map_size=1 << 34, sync=False)
    with environment.begin(write=True) as transaction:
        for key, value in packed(entities):
            transaction.put(key, value)
    environment.sync(True)

    def get(keys: Sequence[tuple[str]]) -> list[Any]:
        with environment.begin() as transaction:
            return [CODEC.look_up(transaction.get(encode_key(key)), LATE, None) for key in keys]

    return get, (path / "data.mdb").stat().st_size


def hash_file(folder: Path, entities: int) -> tuple[Get, int]:
    """An open-addressed table of offsets over a mapped file, as plain Python would read it."""
    slots = 1 << (2 * entities).bit_length()
    table, body = [0] * slots, bytearray(8 * slots)
    for key, value in packed(entities):
        slot = place(key, slots)
        while table[slot]:
            slot = (slot + 1) % slots
        table[slot] = len(body)
        body += struct.pack("<II", len(key), len(value)) + key + value
    struct.pack_into(f"<{slots}Q", body, 0, *table)
    path = folder / "table.bin"
    path.write_bytes(body)
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    offset_at, sizes_at = struct.Struct("<Q").unpack_from, struct.Struct("<II").unpack_from

    def one(key: bytes) -> Any:
        slot = place(key, slots)
        while (offset := offset_at(data, 8 * slot)[0]) != 0:
            key_size, value_size = sizes_at(data, offset)
            start = offset + 8 + key_size
            if data[offset + 8 : start] == key:
                return CODEC.look_up(data[start : start + value_size], LATE, None)
            slot = (slot + 1) % slots
        return None

    return lambda keys: [one(encode_key(key)) for key in keys], path.stat().st_size


def place(key: bytes, slots: int) -> int:
    """The slot where a key's search begins."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") % slots


def median_us(get: Get, size: int, entities: int) -> float:
    """Median time of one call for `size` random keys."""
    source = random.Random(2)
    times = []
    for _ in range(20_000 // size + 200):
        keys = [(f"entity-{source.randrange(entities)}",) for _ in range(size)]
        start = time.perf_counter()
        get(keys)
        times.append(time.perf_counter() - start)
    return round(statistics.median(times) * 1e6, 1)


def main() -> None:
    """Prints one JSON line per store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    stores: list[Callable[[Path, int], tuple[Get, int]]] = [sqlite_generation, sqlite_locking, hash_file]
    if options.rows > 1:
        stores = [partial(sqlite_generation, each=options.rows)]
    elif importlib.util.find_spec("lmdb"):
        stores.append(lmdb_file)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for store in stores:
            start = time.perf_counter()
            get, size = store(Path(name), options.entities)
            line: dict[str, Any] = {
                "store": getattr(store, "__name__", f"{options.rows} rows each"),
                "build_s": round(time.perf_counter() - start, 2),
            }
            line |= {"MiB": round(size / 2**20, 1)}
            line |= {f"get_{count}_us": median_us(get, count, options.entities) for count in SIZES}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
