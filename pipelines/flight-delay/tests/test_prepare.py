"""Rows are accounted for, instants are right, and broken months are broken in the way they say."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def one(con: duckdb.DuckDBPyConnection, sql: str) -> Any:
    return con.execute(sql).to_arrow_table().to_pylist()[0]


def test_every_flight_is_in_exactly_one_month(database: duckdb.DuckDBPyConnection, year: Path) -> None:
    keys = "carrier, flight, origin, scheduled_departure"
    counted = one(database, f"SELECT count(*) AS n, count(DISTINCT ({keys})) AS keys FROM flights")
    assert counted == {"n": 336_776, "keys": 336_776}
    strays = one(
        database,
        f"""SELECT count(*) AS n FROM read_parquet('{year}/flights/*.parquet', filename = true)
        WHERE strftime(scheduled_departure, '%Y-%m') <> parse_filename(filename, true)""",
    )
    assert strays["n"] == 0
    assert len(list((year / "flights").iterdir())) == 13, "the last evening of December is January in UTC"


@pytest.mark.parametrize(
    ("table", "keys", "rows"), [("weather", "origin, observed_hour", 26_115), ("planes", "tailnum", 3_322)]
)
def test_weather_and_planes_are_whole(database: duckdb.DuckDBPyConnection, table: str, keys: str, rows: int) -> None:
    counted = one(database, f"SELECT count(*) AS n, count(DISTINCT ({keys})) AS keys FROM {table}")
    assert counted == {"n": rows, "keys": rows}


def test_the_hour_of_departure_is_the_one_that_the_source_gives(
    database: duckdb.DuckDBPyConnection, prepare: ModuleType
) -> None:
    """The source has the hour in UTC of its own accord; ours is computed from the wall clock in New York."""
    with zipfile.ZipFile(prepare.source_folder() / "flights.csv.zip") as archive:
        database.register("source", prepare._read_csv(archive.read("flights.csv")))
    count = "SELECT time_hour::TIMESTAMP AS hour, origin, carrier, flight, count(*) AS n FROM {} GROUP BY ALL"
    differ = one(database, f"SELECT count(*) AS n FROM ({count.format('source')} EXCEPT {count.format('flights')})")
    assert differ["n"] == 0


def test_arrivals_fit_the_time_in_the_air(database: duckdb.DuckDBPyConnection) -> None:
    """Arrival minus departure is time in the air plus taxiing: a wrong zone or day is off by an hour or more."""
    taxi = "date_diff('minute', scheduled_departure, arrived_at) - dep_delay - air_time"
    found = one(database, f"SELECT min({taxi}) AS least, max({taxi}) AS most, count({taxi}) AS n FROM flights")
    assert found["n"] == 327_346
    assert found["least"] > 0 and found["most"] < 300
    by_dest = f"SELECT min(m) AS least, max(m) AS most FROM (SELECT median({taxi}) AS m FROM flights GROUP BY dest)"
    middle = one(database, by_dest)
    assert middle["least"] > 10 and middle["most"] < 50


@pytest.mark.parametrize(
    ("key", "departure", "arrival"),
    [
        # 05:15 in New York; 08:19 scheduled and 11 minutes late in Houston, an hour behind
        ("carrier = 'UA' AND flight = 1545", "2013-01-01 10:15", "2013-01-01 14:30"),
        # 23:59 in New York to San Juan, which is in no list of airports: 04:42 there, and 24 minutes early
        ("carrier = 'B6' AND flight = 707", "2013-01-02 04:59", "2013-01-02 08:18"),
    ],
)
def test_instants_of_known_flights(database: duckdb.DuckDBPyConnection, key: str, departure: str, arrival: str) -> None:
    form = "strftime({}, '%Y-%m-%d %H:%M')"
    columns = f"{form.format('scheduled_departure')} AS departure, {form.format('arrived_at')} AS arrival"
    found = one(database, f"SELECT {columns} FROM flights WHERE {key} ORDER BY scheduled_departure LIMIT 1")
    assert found == {"departure": departure, "arrival": arrival}


def test_nothing_is_recorded_before_it_is_final(database: duckdb.DuckDBPyConnection) -> None:
    odd = "(arr_delayed IS NULL) <> (arr_delay IS NULL) OR arr_delayed <> (arr_delay > 15)::INT"
    counts = (
        f"count_if(arrived_at > recorded_at) AS late, count_if({odd}) AS odd, count_if(arr_delayed IS NULL) AS never"
    )
    assert one(database, f"SELECT {counts} FROM flights") == {"late": 0, "odd": 0, "never": 9_430}
    early = one(database, "SELECT count_if(recorded_at < observed_hour + INTERVAL 1 HOUR) AS n FROM weather")
    assert early == {"n": 0}


def test_timestamps_are_microseconds_in_utc(year: Path) -> None:
    for path in sorted(year.rglob("*.parquet")):
        kinds = {field.type for field in pq.read_schema(path) if pa.types.is_timestamp(field.type)}
        assert kinds == {pa.timestamp("us", "UTC")}, path.name


def test_a_flight_that_lands_too_late_stops_the_preparation(
    prepare: ModuleType, year: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    month = pq.read_table(year / "flights" / "2013-01.parquet")
    monkeypatch.setattr(prepare, "TOTAL_FLIGHTS", month.num_rows)
    prepare._check_flights(month)
    place = month.schema.get_field_index("recorded_at")
    early = pa.array([datetime(2013, 1, 15, tzinfo=UTC)] * month.num_rows, pa.timestamp("us", "UTC"))
    with pytest.raises(ValueError, match="after its month was recorded"):
        prepare._check_flights(month.set_column(place, "recorded_at", early))


def test_a_broken_month_is_broken_as_it_says(prepare: ModuleType, year: Path, tmp_path: Path) -> None:
    good = year / "flights" / "2013-04.parquet"
    wrong, repeated = prepare.break_month(good, tmp_path / "broken.parquet")
    table = pq.read_table(tmp_path / "broken.parquet")
    assert table.schema == pq.read_schema(good)
    con = duckdb.connect()
    con.register("broken", table)
    assert one(con, "SELECT count(*) AS n FROM broken WHERE distance < 0")["n"] == wrong > 0
    keys = "carrier, flight, origin, scheduled_departure"
    twice = f"SELECT count(*) AS n FROM broken GROUP BY {keys} HAVING n > 1"
    assert one(con, f"SELECT sum(n)::INT AS n FROM ({twice})")["n"] == repeated > 0


def test_a_month_without_a_column(prepare: ModuleType, year: Path, tmp_path: Path) -> None:
    prepare.drop_column(year / "flights" / "2013-04.parquet", tmp_path / "short.parquet", "distance")
    assert "distance" not in pq.read_schema(tmp_path / "short.parquet").names


def test_the_same_source_gives_the_same_bytes(prepare: ModuleType, year: Path, tmp_path: Path) -> None:
    prepare.prepare(tmp_path)
    for path in sorted(year.rglob("*.parquet")):
        assert path.read_bytes() == (tmp_path / path.relative_to(year)).read_bytes(), path.name
