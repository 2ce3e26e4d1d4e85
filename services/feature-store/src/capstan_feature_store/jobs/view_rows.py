"""A view's rows over one version of its dataset: keys, clocks and features in their declared types.

Result table: k0.. keys, e event time, c created time (epoch microseconds, BIGINT), f0.. features, h content hash. Rows
that can belong to no answer (a null key, no finite event time) are left out and counted. Timestamps are BIGINT
microseconds inside a job; NaN and infinity are null, offline as online.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import duckdb

from capstan_feature_store.jobs.sandbox import Connection, columns_of, quoted, refusal, scalar
from capstan_feature_store.jobs.select_rules import breaches
from capstan_servicekit.jobs.api import JobRefused

FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999: instants that every reader can hold."""

_INTEGERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
}  # fmt: skip
_ACCEPTED = {
    "int64": _INTEGERS,
    "float64": {"FLOAT", "DOUBLE", "DECIMAL"} | _INTEGERS,
    "string": {"VARCHAR", "ENUM"},
    "bool": {"BOOLEAN"},
    "timestamp": {
        "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE",
    },
}  # fmt: skip


@dataclass(frozen=True)
class ViewPlan:
    """A view as a job gets it. `ttl_us` in microseconds; `keys` and `columns` are (name, dtype)."""

    name: str
    version: str
    dataset: str
    sql: str
    keys: list[tuple[str, str]]
    columns: list[tuple[str, str]]
    event_time: str
    created_time: str | None
    ttl_us: int | None

    @classmethod
    def from_json(cls, source: dict[str, Any]) -> Self:
        """Read what `domain.plans.view_plan` wrote."""
        pairs = {part: [(name, dtype) for name, dtype in source[part]] for part in ("keys", "columns")}
        return cls(**{**source, **pairs})


def accepts(dtype: str, duckdb_type: str) -> bool:
    """Whether a DuckDB type may stand for a declared dtype."""
    return duckdb_type.split("(", 1)[0] in _ACCEPTED[dtype]


def is_feature(duckdb_type: str) -> bool:
    """Whether a DuckDB type may stand for any dtype; a time of day, bytes, a list or a struct may not."""
    return any(accepts(dtype, duckdb_type) for dtype in _ACCEPTED)


def as_dtype(column: str, dtype: str, duckdb_type: str) -> str:
    """SQL that turns a column into its declared dtype; instants and numbers that are not finite become null."""
    if dtype == "timestamp":
        instant = column if duckdb_type == "TIMESTAMP WITH TIME ZONE" else f"CAST({column} AS TIMESTAMP)"
        us = f"CASE WHEN isfinite({instant}) THEN epoch_us({instant}) END"
        return f"CASE WHEN {us} BETWEEN {FIRST_US} AND {LAST_US} THEN {us} END"
    if dtype == "float64":
        return f"CASE WHEN isfinite(CAST({column} AS DOUBLE)) THEN CAST({column} AS DOUBLE) END"
    return f"CAST({column} AS {({'int64': 'BIGINT', 'string': 'VARCHAR', 'bool': 'BOOLEAN'})[dtype]})"


def result_types(con: Connection, view: ViewPlan) -> dict[str, str]:
    """Types of the columns of the SQL's result, by lower-case name; JobRefused with every broken rule."""
    place = f"views[{view.name}]"
    broken = [(f"{place}.sql", rule) for rule in breaches(con, view.sql, view.dataset)]
    if broken:
        raise JobRefused(
            f"the SQL of view {view.name!r} is not allowed: {broken[0][1]}", errors=broken, code="invalid-spec"
        )
    try:
        have = {name.lower(): type_ for name, type_ in columns_of(con, f"({view.sql}\n)").items()}
    except duckdb.Error as error:
        raise refusal(f"the SQL of view {view.name!r} does not fit its dataset", f"{place}.sql", error) from error
    declared = [(f"keys[{name}]", name, dtype) for name, dtype in view.keys]
    declared += [(f"columns[{name}]", name, dtype) for name, dtype in view.columns]
    declared.append(("event_time", view.event_time, "timestamp"))
    if view.created_time is not None:
        declared.append(("created_time", view.created_time, "timestamp"))
    for where, name, dtype in declared:
        if name.lower() not in have:
            broken.append((f"{place}.{where}", f"a column of the SQL's result ({', '.join(have)}), not {name!r}"))
        elif not accepts(dtype, have[name.lower()]):
            broken.append((f"{place}.{where}", f"declared {dtype}, but the SQL gives {have[name.lower()]}"))
    if broken:
        raise JobRefused(f"view {view.name!r}: {broken[0][0]}: {broken[0][1]}", errors=broken, code="invalid-spec")
    return have


def build(con: Connection, view: ViewPlan, table: str, threads: int) -> tuple[int, int]:
    """Make `table`; (rows in it, rows left out). The SQL runs on one thread, so that sums round the same each time."""
    have = result_types(con, view)

    def column(name: str, dtype: str) -> str:
        return as_dtype(quoted(name), dtype, have[name.lower()])

    keys = [f"{column(name, dtype)} AS k{i}" for i, (name, dtype) in enumerate(view.keys)]
    features = [f"{column(name, dtype)} AS f{i}" for i, (name, dtype) in enumerate(view.columns)]
    created = column(view.created_time, "timestamp") if view.created_time else column(view.event_time, "timestamp")
    parts = [*keys, f"{column(view.event_time, 'timestamp')} AS e", f"{created} AS c", *features]
    usable = " AND ".join([f"k{i} IS NOT NULL" for i in range(len(keys))] + ["e IS NOT NULL"])
    content = content_hash([f"f{i}" for i in range(len(features))])
    con.execute("SET threads = 1")
    try:
        con.execute(f"CREATE TABLE {table}_all AS SELECT {', '.join(parts)} FROM ({view.sql}\n)")
    except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException) as error:
        raise refusal(f"the values of view {view.name!r} do not fit", f"views[{view.name}].sql", error) from error
    con.execute(f"SET threads = {int(threads)}")
    con.execute(f"CREATE TABLE {table} AS SELECT *, {content} AS h FROM {table}_all WHERE {usable}")
    every, kept = scalar(con, f"SELECT count(*) FROM {table}_all"), scalar(con, f"SELECT count(*) FROM {table}")
    con.execute(f"DROP TABLE {table}_all")
    return kept, every - kept


def content_hash(columns: list[str]) -> str:
    """SQL: sha256 over the features in declared order, each as `<bytes>:<text>` or `-` for null.

    Text is decimal for integers and instants (microseconds), the shortest that reads back for floats, true or false.
    """
    texts = [f"CAST({column} AS VARCHAR)" for column in columns]
    pieces = [f"coalesce(strlen({text}) || ':' || {text}, '-')" for text in texts]
    return f"sha256(concat({', '.join(pieces)}))"
