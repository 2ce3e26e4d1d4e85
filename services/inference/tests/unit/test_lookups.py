"""A looked-up value is the one of the request's time, and what cannot be had is null with its reason."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from capstan_formats.online import EntityRow, OnlineColumn, OnlineSchema, OnlineWriter
from capstan_formats.online.store import connect, read_pointer
from capstan_formats.preprocess import KeySource
from capstan_formats.record_columns import decode_column, encode_column
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.lookups import LookedUp, Lookups
from capstan_inference.dataplane.online import open_views
from capstan_packages.fields import EntityLookup

HOUR = 3_600_000_000
PRICES = EntityLookup("prices", "0" * 64, {"item": KeySource("item")}, ("prices__price",), 24)
SCHEMA = OnlineSchema("prices", "0" * 64, (OnlineColumn("item", "string"),), (OnlineColumn("price", "float64"),))


def write(home: Path, *rows: tuple[str, int, float, bool]) -> None:
    with OnlineWriter(home / "online" / "default", SCHEMA) as writer:
        writer.write(EntityRow((item,), hour * HOUR, hour * HOUR, (price,), older) for item, hour, price, older in rows)
        writer.commit()


def found(home: Path, hours: list[int], item: str = "bread", ttl_s: int | None = None) -> tuple[LookedUp, Counters]:
    counters = Counters()
    lookup = EntityLookup(PRICES.view, PRICES.version, PRICES.keys, PRICES.columns, ttl_s)
    with closing(open_views(home / "online")) as views:
        lookups = Lookups("default", [lookup], views, counters)
        return lookups.find({"item": [item] * len(hours)}, [hour * HOUR for hour in hours]), counters


def test_each_row_of_a_request_gets_the_price_of_its_hour(tmp_path: Path) -> None:
    write(tmp_path, ("bread", 3, 1.0, False), ("bread", 5, 2.0, False), ("bread", 9, 3.0, False))
    got, _ = found(tmp_path, [2, 3, 4, 5, 8, 9, 100])
    assert got.columns["prices__price"] == [None, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert got.status["prices"] == ["missing", *["present"] * 6]
    assert got.times["prices"] == [None, *(hour * HOUR for hour in (3, 3, 5, 5, 9, 9))]


def test_a_request_from_before_all_that_is_kept_is_unknown(tmp_path: Path) -> None:
    write(tmp_path, ("bread", 3, 1.0, True), ("bread", 5, 2.0, False))
    got, counters = found(tmp_path, [2, 3, 7], ttl_s=3600)
    assert got.columns["prices__price"] == [None, 1.0, None]
    assert got.status["prices"] == ["unknown", "present", "expired"]
    assert counters.lookup_errors == 0


def test_a_bool_is_looked_up_by_a_bool_and_stays_one(tmp_path: Path) -> None:
    key, column = OnlineColumn("open", "bool"), OnlineColumn("busy", "bool")
    schema = OnlineSchema("shops", "0" * 64, (key,), (column,))
    with OnlineWriter(tmp_path / "online" / "default", schema) as writer:
        writer.write([EntityRow((True,), 0, 0, (False,)), EntityRow((False,), 0, 0, (None,))])
        writer.commit()
    lookup = EntityLookup("shops", schema.version, {"open": KeySource("open")}, ("shops__busy",), None)
    with closing(open_views(tmp_path / "online")) as views:
        got = Lookups("default", [lookup], views, Counters()).find({"open": [True, False, None]}, [1, 1, 1])
    assert got.columns["shops__busy"] == [False, None, None]
    assert got.status["shops"] == ["present", "present", "missing"]
    assert got.keys["shops"] == {"open": [True, False, None]}


def test_ids_that_no_float_holds_are_looked_up_and_given_as_they_are(tmp_path: Path) -> None:
    first = 2**53 + 1
    schema = OnlineSchema("flats", "0" * 64, (OnlineColumn("flat", "int64"),), (OnlineColumn("owner", "int64"),))
    with OnlineWriter(tmp_path / "online" / "default", schema) as writer:
        writer.write(EntityRow((flat,), 0, 0, (2**60 + flat,)) for flat in (first, first + 1))
        writer.commit()
    lookup = EntityLookup("flats", schema.version, {"flat": KeySource("flat")}, ("flats__owner",), None)
    with closing(open_views(tmp_path / "online")) as views:
        asked = {"flat": [first, None, first + 1, first - 1]}
        got = Lookups("default", [lookup], views, Counters()).find(asked, [1] * 4)
    assert got.columns["flats__owner"] == [2**60 + first, None, 2**60 + first + 1, None]
    assert got.keys["flats"] == asked
    for column in (got.columns["flats__owner"], asked["flat"]):
        tag, data = encode_column(column)
        assert decode_column(tag, 4, io.BytesIO(data).read).tolist() == column


def test_a_damaged_entity_is_null_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, ("bread", 3, 1.0, False))
    path = read_pointer(tmp_path / "online" / "default", "prices")
    with closing(connect(path)) as connection:
        (value,) = connection.execute("SELECT value FROM kv").fetchone()
    path.write_bytes(path.read_bytes().replace(value, b"\xff" + value[1:]))
    got, counters = found(tmp_path, [4])
    assert got.columns["prices__price"] == [None]
    assert (got.status["prices"], counters.lookup_errors) == (["missing"], 1)


def test_a_store_of_an_older_format_is_null_and_counted(tmp_path: Path) -> None:
    write(tmp_path, ("bread", 3, 1.0, False))
    path = read_pointer(tmp_path / "online" / "default", "prices")
    path.write_bytes(path.read_bytes().replace(b"capstan.online/2", b"capstan.online/1"))
    got, counters = found(tmp_path, [4])
    values: Any = got.columns["prices__price"]
    assert (values, counters.lookup_errors) == ([None], 1)
