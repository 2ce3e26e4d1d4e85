"""What a view's SQL may do, and where its columns come from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capstan_feature_store.jobs import check_views, explain
from capstan_feature_store.jobs.lineage import origin_of
from capstan_feature_store.jobs.sandbox import Connection, columns_of, open_sandbox
from capstan_feature_store.jobs.select_rules import breaches, parse
from capstan_servicekit.jobs.api import Job, JobRefused

AT = datetime(2013, 1, 1, tzinfo=UTC)


@pytest.fixture
def con(tmp_path: Path) -> Iterator[Connection]:
    """A sandbox with the dataset `flights`, in a folder whose name has every awkward character."""
    folder = tmp_path / "it's [a] *home*"
    folder.mkdir()
    rows = [{"carrier": "AA", "origin": "JFK", "dest": "LAX", "seen": AT, "delay": 1.5}]
    pq.write_table(pa.Table.from_pylist(rows), folder / "flights")
    (tmp_path / "scratch").mkdir()
    connection = open_sandbox(tmp_path / "scratch", {"flights": [str(folder / "flights")]})
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM flights",
        "FROM flights",
        "WITH a AS (SELECT * FROM flights), b AS (SELECT * FROM a) SELECT * FROM b JOIN a USING (carrier)",
        "SELECT avg(delay) OVER (PARTITION BY carrier ORDER BY seen RANGE BETWEEN INTERVAL 9 DAY PRECEDING AND"
        " CURRENT ROW) FROM flights QUALIFY row_number() OVER (PARTITION BY carrier ORDER BY seen) = 1",
        "SELECT * FROM flights UNION ALL SELECT * FROM flights",
        "SELECT carrier, (SELECT max(delay) FROM FLIGHTS f WHERE f.carrier = o.carrier) FROM flights o",
        "SELECT v.a, f.* FROM (VALUES (1)) v(a), flights f",
    ],
)
def test_a_select_of_the_dataset_is_allowed(con: Connection, sql: str) -> None:
    assert breaches(con, sql, "flights") == []
    con.execute(sql).to_arrow_table()


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT 1", "flights"),
        ("", "one SELECT"),
        ("SELECT * FROM flights; SELECT 1", "one SELECT"),
        ("DROP TABLE flights", "one SELECT"),
        ("COPY flights TO 'x.csv'", "one SELECT"),
        ("ATTACH 'x.db'", "one SELECT"),
        ("SET threads = 9", "one SELECT"),
        ("SELEC * FROM flights", "valid SQL"),
        ("SELECT * FROM flights JOIN other USING (carrier)", "not 'other'"),
        ("SELECT * FROM '/etc/passwd'", "/etc/passwd"),
        ("SELECT (SELECT count(*) FROM read_text('/etc/passwd')) FROM flights", "read_text"),
        ("SELECT * FROM flights, read_csv('x')", "read_csv"),
        ("SELECT * FROM flights, query('SELECT 1')", "query"),
        ("SELECT * FROM flights, duckdb_settings()", "duckdb_settings"),
        ("SELECT * FROM flights, information_schema.tables", "information_schema.tables"),
        ("SELECT * FROM located.flights", "located.flights"),
        ("WITH a AS (SELECT * FROM b) SELECT * FROM flights", "not 'b'"),
        ("SELECT * FROM (WITH b AS (SELECT 1) SELECT * FROM b), b, flights", "not 'b'"),
        ("SUMMARIZE flights", "show_ref"),
        ("SELECT now() - seen FROM flights", "now()"),
        ("SELECT random() FROM flights", "random()"),
        ("SELECT current_date FROM flights", "current_date"),
        ("SELECT current_setting('home_directory') FROM flights", "current_setting"),
        ("SELECT * FROM flights TABLESAMPLE 10%", "sample"),
        ("SELECT $1 FROM flights", "parameters"),
        ("SELECT * FROM flights" + " " * 100_001, "characters"),
        ("SELECT " + "+".join(["1"] * 2000) + " FROM flights", "valid SQL"),
        ("SELECT " + "abs(" * 900 + "1" + ")" * 900 + " FROM flights", "nested less deeply"),
    ],
)
def test_anything_else_is_refused_with_its_rule(con: Connection, sql: str, word: str) -> None:
    found = breaches(con, sql, "flights")
    assert any(word in rule for rule in found), found


def test_the_sandbox_holds_even_without_the_rules(con: Connection, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    for sql in (
        f"SELECT * FROM read_text('{tmp_path}/secret')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/other.db'",
        "SET enable_external_access = true",
        "SET memory_limit = '64GB'",
        "SET TimeZone = 'Asia/Tokyo'",
        "SET lock_configuration = false",
        "SET allowed_configs = ['memory_limit']",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            con.execute(sql)


@pytest.mark.parametrize("column", ["carrier", "file_row_number"])
def test_what_a_path_says_is_no_column(tmp_path: Path, column: str) -> None:
    scratch = tmp_path / "year=2013"
    scratch.mkdir()
    pq.write_table(pa.Table.from_pylist([{column: 1}]), tmp_path / "file")
    connection = open_sandbox(scratch, {"flights": [str(tmp_path / "file")]})
    assert list(columns_of(connection, "flights")) == [column]
    assert list(columns_of(connection, "located.flights")) == [column, "\x01file", "\x01row"]
    connection.close()


@pytest.mark.parametrize(
    ("sql", "origins"),
    [
        ("SELECT * FROM flights", {"carrier": "carrier", "seen": "seen", "gone": None}),
        ("SELECT carrier AS k, date_trunc('hour', seen) AS e, avg(delay) AS x FROM flights GROUP BY ALL",
         {"k": "carrier", "e": "date_trunc('hour', seen)", "x": None}),
        ("WITH a AS (SELECT *, origin || '-' || dest AS route FROM flights f), b AS (SELECT a.route, seen e FROM a) "
         "SELECT b.route AS r, e FROM b", {"r": "((origin || '-') || dest)", "e": "seen"}),
        ("SELECT c AS k FROM (SELECT carrier AS c FROM flights)", {"k": "carrier"}),
        ("SELECT max(seen) AS e, row_number() OVER () AS n FROM flights", {"e": None, "n": None}),
        ("SELECT a.carrier FROM flights a JOIN flights b USING (carrier)", {"carrier": None}),
    ],
)  # fmt: skip
def test_a_column_is_followed_to_the_row_that_it_comes_from(con: Connection, sql: str, origins: dict[str, Any]) -> None:
    node, _ = parse(con, sql)
    assert node is not None
    have = {name.lower(): type_ for name, type_ in columns_of(con, "flights").items()}
    assert {name: origin_of(con, node, "flights", name, have) for name in origins} == origins


def plan(sql: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": "v", "version": "0" * 64, "dataset": "flights", "sql": sql, "keys": [["carrier", "string"]],
        "columns": [["delay", "float64"]], "event_time": "seen", "created_time": None, "ttl_us": None, **fields,
    }  # fmt: skip


def test_a_dataset_without_a_version_has_its_views_checked_in_form_only(tmp_path: Path) -> None:
    views = [plan("SELECT nothing FROM flights")]
    assert check_views.run(Job({"views": views, "datasets": {}}, tmp_path)).checked == []
    with pytest.raises(JobRefused) as refused:
        check_views.run(Job({"views": [plan("SELECT 1; SELECT 2")], "datasets": {}}, tmp_path))
    assert refused.value.errors[0][0] == "views[v].sql"


def test_a_file_that_is_no_parquet_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("not parquet")
    with pytest.raises(JobRefused, match="flights"):
        check_views.run(Job({"views": [], "datasets": {"flights": [str(tmp_path / "broken")]}}, tmp_path))


def test_a_value_computed_from_many_rows_cannot_be_explained(tmp_path: Path) -> None:
    file = tmp_path / "flights"
    pq.write_table(pa.Table.from_pylist([{"carrier": "AA", "seen": AT, "delay": 1.0}]), file)
    sql = "SELECT carrier, max(seen) AS seen, avg(delay) AS delay FROM flights GROUP BY carrier"
    given = {"view": plan(sql), "files": [str(file)], "keys": {"carrier": "AA"}, "event_us": 1 << 60, "limit": 9}
    with pytest.raises(JobRefused, match="more than one row"):
        explain.run(Job(given, tmp_path))
