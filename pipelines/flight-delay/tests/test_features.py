"""No feature knows anything that was not known at scheduled departure: by its definition, and by what it does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml

Join = Callable[[duckdb.DuckDBPyConnection], pa.Table]
NOW = "TIMESTAMPTZ '2013-05-20 12:00:00+00'"
"""The instant whose future is changed."""

OF_THE_FLIGHT_ITSELF = ("dep_delay", "air_time", "arr_delay", "arr_delayed", "arrived_at", "recorded_at")
"""What is known of a flight only after its scheduled departure."""


@pytest.fixture
def labelled(database: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The flights of the eight weeks before NOW are asked about."""
    asked = "carrier, flight, origin, dest, tailnum, distance, scheduled_departure, time_hour"
    database.execute(
        f"""CREATE TABLE labels AS SELECT {asked} FROM flights
        WHERE scheduled_departure BETWEEN {NOW} - INTERVAL 1344 HOURS AND {NOW}"""
    )
    return database


def change_the_future(con: duckdb.DuckDBPyConnection) -> int:
    """Turn round every value that became known after NOW; how many rows."""
    con.execute(
        f"""UPDATE flights SET arr_delayed = 1 - arr_delayed, arr_delay = arr_delay + 500, dep_delay = 900,
        arrived_at = arrived_at + INTERVAL 7 MINUTES WHERE recorded_at > {NOW}"""
    )
    con.execute(f"UPDATE weather SET temp = -40, visib = 0, wind_speed = 99 WHERE recorded_at > {NOW}")
    count = con.execute(f"SELECT count(*) FROM flights WHERE recorded_at > {NOW}").fetchone()
    assert count is not None
    return int(count[0])


def test_features_do_not_depend_on_what_comes_later(labelled: duckdb.DuckDBPyConnection, as_known: Join) -> None:
    before = as_known(labelled)
    assert change_the_future(labelled) > 200_000
    after = as_known(labelled)
    assert before.num_rows > 40_000
    for name in before.column_names:
        assert after[name].equals(before[name]), name


def test_the_check_sees_a_feature_that_knows_the_future(
    labelled: duckdb.DuckDBPyConnection, as_known: Join, views: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view that says it was created when the flight arrived, though its month landed weeks later."""
    route = next(view for view in views if view["name"] == "route_recent")
    hasty = re.sub(r"recorded_at AS created_time", "arrived_at AS created_time", route["sql"])
    monkeypatch.setitem(route, "sql", hasty.replace("recorded_at ORDER", "time_hour ORDER"))
    before = as_known(labelled)["route_recent__late_share"]
    change_the_future(labelled)
    assert not as_known(labelled)["route_recent__late_share"].equals(before)


def test_what_is_online_between_two_landings_is_what_training_joins(
    database: duckdb.DuckDBPyConnection, as_known: Join, views: list[dict[str, Any]]
) -> None:
    """Online holds each key's newest row over the months that have landed; April's flights are asked in between."""
    database.execute(
        """CREATE TABLE labels AS
        SELECT carrier, flight, origin, dest, tailnum, scheduled_departure, time_hour FROM flights
        WHERE scheduled_departure >= '2013-04-02 00:00:00+00' AND scheduled_departure < '2013-05-02 00:00:00+00'"""
    )
    offline = as_known(database)
    database.execute("DELETE FROM flights WHERE recorded_at > '2013-04-02 00:00:00+00'")
    order = "l.scheduled_departure, l.carrier, l.flight, l.origin"
    for name, keys in (("route_recent", ("carrier", "origin", "dest")), ("flight_recent", ("carrier", "flight"))):
        sql = next(view["sql"] for view in views if view["name"] == name)
        newest = f"row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY event_time DESC) = 1"
        on = " AND ".join(f"l.{key} = v.{key}" for key in keys)
        young = "l.scheduled_departure - v.event_time <= INTERVAL 1080 HOUR"
        online = database.execute(
            f"""SELECT CASE WHEN {young} THEN v.late_share END AS late_share FROM labels l
            LEFT JOIN (SELECT * FROM ({sql}) QUALIFY {newest}) v ON {on} ORDER BY {order}"""
        ).to_arrow_table()
        assert online["late_share"].equals(offline[f"{name}__late_share"]), name
        # Airlines give out new flight numbers with the summer timetable.
        assert offline[f"{name}__late_share"].null_count < 0.25 * offline.num_rows


def test_rows_of_a_view_never_change_when_later_months_land(
    database: duckdb.DuckDBPyConnection, views: list[dict[str, Any]]
) -> None:
    for name in ("route_recent", "flight_recent"):
        sql = next(view["sql"] for view in views if view["name"] == name)
        database.execute(f"CREATE TABLE {name}_whole AS {sql}")
    database.execute("DELETE FROM flights WHERE recorded_at > '2013-06-02 00:00:00+00'")
    for name in ("route_recent", "flight_recent"):
        sql = next(view["sql"] for view in views if view["name"] == name)
        early = f"SELECT * FROM {name}_whole WHERE created_time <= '2013-06-02 00:00:00+00'"
        for left, right in ((early, sql), (sql, early)):
            gone = database.execute(f"SELECT count(*) FROM (({left}) EXCEPT ({right}))").fetchone()
            assert gone == (0,), name


def test_a_view_has_one_row_per_key_and_instant(
    database: duckdb.DuckDBPyConnection, views: list[dict[str, Any]]
) -> None:
    for view in views:
        keys = ", ".join(key["name"] for key in view["keys"])
        twice = f"SELECT 1 FROM ({view['sql']}) GROUP BY {keys}, event_time HAVING count(*) > 1"
        odd = f"SELECT count_if(created_time < event_time) FROM ({view['sql']})"
        assert database.execute(f"SELECT count(*) FROM ({twice})").fetchone() == (0,), view["name"]
        assert database.execute(odd).fetchone() == (0,), view["name"]


def test_a_caller_sends_only_what_is_on_the_timetable(recipe: Path) -> None:
    service = yaml.safe_load((recipe / "features" / "service.yaml").read_text())
    sent = {column["name"] for column in service["request"]}
    assert sent == {"carrier", "flight", "origin", "dest", "tailnum", "distance", "scheduled_departure"}
    assert not sent & set(OF_THE_FLIGHT_ITSELF)


def test_weather_is_that_of_the_hour_before(database: duckdb.DuckDBPyConnection, views: list[dict[str, Any]]) -> None:
    sql = next(view["sql"] for view in views if view["name"] == "weather_hourly")
    served = database.execute(
        f"""SELECT count(*), count_if(v.temp IS DISTINCT FROM w.temp) FROM ({sql}) v
        JOIN weather w ON w.origin = v.origin AND w.observed_hour = v.time_hour - INTERVAL 1 HOUR"""
    ).fetchone()
    assert served == (26_115, 0)
