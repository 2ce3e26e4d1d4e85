"""The source rows behind a feature value.

Rule: each key and the event time of the view are followed back to an expression over one row of the dataset
(`lineage`). The rows sought are those whose key expressions equal the given keys and whose event time equals the given
one; where there is none, those of the newest event time before it. A key that cannot be followed is left out of the
comparison and named in the answer; when no key, or not the event time, can be followed, the question is refused. The
view's own filters are not applied: a row that the view skips is shown when it has the same keys and event time.
"""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from capstan_feature_store.domain.jobs import ExplainedValue, ValueToExplain
from capstan_feature_store.jobs.lineage import origin_of
from capstan_feature_store.jobs.sandbox import (
    FILE,
    FILE_INDEX,
    ROW,
    Connection,
    columns_of,
    open_sandbox,
    quoted,
    refusal,
    scalar,
)
from capstan_feature_store.jobs.select_rules import parse
from capstan_feature_store.jobs.view_rows import ViewPlan, accepts, as_dtype, result_types
from capstan_servicekit.jobs.api import Job, JobRefused

_KEY_TYPES = {"string": "VARCHAR", "int64": "BIGINT", "bool": "BOOLEAN", "timestamp": "BIGINT"}


def run(job: Job) -> ExplainedValue:
    """JobRefused when no key, or not the event time, can be followed to one row."""
    given = job.read(ValueToExplain)
    view = ViewPlan.from_json(given.view)
    con = open_sandbox(job.scratch, {view.dataset: given.files}, threads=2)
    result_types(con, view)
    conditions, values, left_out, event = _conditions(con, view, given.keys)
    relation = f"located.{quoted(view.dataset)}"
    where = " AND ".join([*conditions, f"{event} <= ?"])
    try:
        newest = scalar(con, f"SELECT max({event}) FROM {relation} WHERE {where}", [*values, given.event_us])
        where = " AND ".join([*conditions, f"{event} = ?"])
        total = scalar(con, f"SELECT count(*) FROM {relation} WHERE {where}", [*values, newest])
        rows = _rows(con, relation, where, [*values, newest], given.limit)
    except duckdb.Error as error:
        raise refusal(f"the rows behind view {view.name!r} cannot be read", view.name, error) from error
    con.close()
    return ExplainedValue(total=total, rows=rows, event_us=newest, left_out=left_out)


def _conditions(con: Connection, view: ViewPlan, keys: dict[str, Any]) -> tuple[list[str], list[Any], list[str], str]:
    """(SQL conditions, their parameters, keys without a condition, SQL of the event time in microseconds)."""
    node, _ = parse(con, view.sql)
    relation = quoted(view.dataset)
    have = {name.lower(): type_ for name, type_ in columns_of(con, relation).items()}

    def source(column: str, dtype: str) -> str | None:
        sql = origin_of(con, node or {}, view.dataset, column, have)
        if sql is None:
            return None
        type_ = columns_of(con, f"(SELECT {sql} AS it FROM {relation})")["it"]
        return as_dtype(f"({sql})", dtype, type_) if accepts(dtype, type_) else None

    key_sources = {name: source(name, dtype) for name, dtype in view.keys}
    event = source(view.event_time, "timestamp")
    if event is None or not any(key_sources.values()):
        lost = view.event_time if event is None else ", ".join(key_sources)
        rule = f"{lost} is computed from more than one row of the dataset, so that no row is behind a value of it"
        raise JobRefused(
            f"view {view.name!r} cannot be explained row by row: {rule}", errors=[(f"views[{view.name}]", rule)]
        )
    conditions, values = [], []
    for name, dtype in view.keys:
        if (sql := key_sources[name]) is not None:
            conditions.append(f"{sql} = ?::{_KEY_TYPES[dtype]}")
            values.append(keys[name])
    return conditions, values, [name for name, sql in key_sources.items() if sql is None], event


def _rows(con: Connection, relation: str, where: str, values: list[Any], limit: int) -> list[list[Any]]:
    query = f"""SELECT {FILE_INDEX}, {ROW}, * EXCLUDE ({FILE}, {ROW})
        FROM {relation} WHERE {where} ORDER BY 1, 2 LIMIT {limit}"""
    table = con.execute(query, values).to_arrow_table()
    names = table.schema.names[2:]
    columns = [_plain(column) for column in table.itercolumns()]
    return [[row[0], row[1], dict(zip(names, row[2:], strict=True))] for row in zip(*columns, strict=True)]


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Cells as JSON can hold them: numbers, texts and bools as they are, all else as text."""
    cells: list[Any] = column.to_pylist()
    if pa.types.is_timestamp(column.type):
        return [None if cell is None else cell.isoformat() for cell in cells]
    if pa.types.is_floating(column.type):
        return [None if cell is None or cell - cell != 0 else cell for cell in cells]
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type) or pa.types.is_string(column.type):
        return cells
    return [None if cell is None else str(cell) for cell in cells]
