"""Builds a training set: label rows in file order, left-joined with every view as known at each label's time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from capstan_feature_store.domain.derived import HOUR_US
from capstan_feature_store.domain.jobs import JoinedSet, SetToJoin
from capstan_feature_store.jobs import point_in_time, view_rows
from capstan_feature_store.jobs.sandbox import (
    FILE_INDEX,
    ROW,
    Connection,
    columns_of,
    open_sandbox,
    quoted,
    refusal,
    scalar,
    within_memory,
)
from capstan_servicekit.jobs.api import Job, JobRefused

ROW_GROUP = 65_536
_ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def run(job: Job) -> JoinedSet:
    """Writes `training.parquet` into scratch. JobRefused when the label dataset does not fit the feature service."""
    given = job.read(SetToJoin)
    with within_memory(given.memory_mb):
        return _build(job, given)


def _build(job: Job, given: SetToJoin) -> JoinedSet:
    con = open_sandbox(job.scratch, given.datasets, memory_mb=given.memory_mb, threads=given.threads)
    views = [view_rows.ViewPlan.from_json(view) for view in given.views]
    steps = len(views) + 2
    job.progress(0, steps, "reading labels")
    unlabelled = _labels(con, given)
    figures = {}
    for index, view in enumerate(views):
        job.progress(index + 1, steps, f"joining {view.name}")
        figures[view.name] = _join(con, given, view, index)
    job.progress(steps - 1, steps, "writing")
    path = job.scratch / "training.parquet"
    rows = _write(con, given, views, path)
    con.close()
    return JoinedSet(rows=rows, unlabelled=unlabelled, path=str(path), views=figures)


def _labels(con: Connection, given: SetToJoin) -> int:
    """Make work.labels (n in file order, t, y label, q.. request, d.. derived); how many rows have no label."""
    relation, label, service = f"located.{quoted(given.dataset)}", given.label, given.service
    have = {name.lower(): type_ for name, type_ in columns_of(con, relation).items()}
    wanted = [("service.label_time", service["label_time"], "timestamp")]
    wanted += [(f"service.request[{name}]", name, dtype) for name, dtype in service["request"]]
    broken = list(_label_breaches(given.dataset, label, have.get(label.lower())))
    for place, name, dtype in wanted:
        if name.lower() not in have:
            broken.append((place, f"a column of dataset {given.dataset!r}, not {name!r}"))
        elif not view_rows.accepts(dtype, have[name.lower()]):
            broken.append((place, f"declared {dtype}, but the dataset has {have[name.lower()]}"))
    if broken:
        raise JobRefused(f"the label dataset does not fit: {broken[0][0]}: {broken[0][1]}", errors=broken)

    def column(name: str, dtype: str) -> str:
        return view_rows.as_dtype(quoted(name), dtype, have[name.lower()])

    request = [f"{column(name, dtype)} AS q{i}" for i, (name, dtype) in enumerate(service["request"])]
    position = {name: i for i, (name, _) in enumerate(service["request"])}
    hours = [f"q{position[source]} - ((q{position[source]} % {HOUR_US}) + {HOUR_US}) % {HOUR_US} AS d{i}"
             for i, (_, source) in enumerate(service["derived"])]  # fmt: skip
    labelled = f"{quoted(label)} IS NOT NULL"
    if have[label.lower()] in {"FLOAT", "DOUBLE"}:
        labelled += f" AND NOT isnan({quoted(label)})"
    inner = ", ".join([
        f"({FILE_INDEX} << 40) + {ROW} AS n", f"{column(service['label_time'], 'timestamp')} AS t",
        f"{_as_label(label, have[label.lower()])} AS y", f"({labelled}) AS labelled", *request,
    ])  # fmt: skip
    outer = ", ".join(["*", *hours])
    try:
        con.execute(f"CREATE TABLE work.labels AS SELECT {outer} FROM (SELECT {inner} FROM {relation}) WHERE labelled")
        every = scalar(con, f"SELECT count(*) FROM {relation}")
    except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        raise refusal("a value of the label dataset does not fit its column", given.dataset, error) from error
    return int(every - scalar(con, "SELECT count(*) FROM work.labels"))


def _label_breaches(dataset: str, label: str, type_: str | None) -> Iterator[tuple[str, str]]:
    if type_ is None:
        yield "label", f"a column of dataset {dataset!r}, not {label!r}"
    elif not view_rows.is_feature(type_):
        yield "label", f"a number, a text, a bool or an instant; {label!r} is {type_}: stored, never learnt"


def _as_label(label: str, type_: str) -> str:
    """Decimals as floats: no engine learns decimals."""
    return f"CAST({quoted(label)} AS DOUBLE)" if type_.startswith("DECIMAL") else quoted(label)


def _join(con: Connection, given: SetToJoin, view: view_rows.ViewPlan, index: int) -> dict[str, int]:
    service = given.service
    sources = {name: f"q{i}" for i, (name, _) in enumerate(service["request"])}
    sources |= {name: f"d{i}" for i, (name, _) in enumerate(service["derived"])}
    keys = service["lookups"][view.name]
    lookup = [sources[keys[name]] for name, _ in view.keys]
    rows, unusable = view_rows.build(con, view, f"work.v{index}", given.threads)
    hits = f"work.hit{index}"
    point_in_time.join(con, "work.labels", f"work.v{index}", hits, lookup, view.ttl_us, as_known=given.as_known)
    con.execute(f"DROP TABLE work.v{index}")
    return {"rows": rows, "unusable": unusable, "matched": scalar(con, f"SELECT count(*) FROM {hits}")}


def _outputs(given: SetToJoin, views: list[view_rows.ViewPlan]) -> Iterator[tuple[str, str, str | None]]:
    """(SQL, column name, dtype; None = as it comes) of every column of the training set, in order."""
    service = given.service
    yield "f.batch || ':' || (l.n & 1099511627775)", "item_id", "string"
    yield "l.y", "label", None
    yield "l.t", service["label_time"], "timestamp"
    for i, (name, dtype) in enumerate(service["request"]):
        if name != service["label_time"]:
            yield f"l.q{i}", name, dtype
    for i, (name, _) in enumerate(service["derived"]):
        yield f"l.d{i}", name, "timestamp"
    for index, view in enumerate(views):
        for i, (name, dtype) in enumerate(view.columns):
            yield f"h{index}.f{i}", f"{view.name}__{name}", dtype
        yield f"h{index}.e", f"{view.name}__event_ts", "timestamp"
    yield "f.path", "_file", "string"
    yield "l.n & 1099511627775", "_row", "int64"


def _write(con: Connection, given: SetToJoin, views: list[view_rows.ViewPlan], path: Path) -> int:
    con.execute("CREATE TABLE work.files (i BIGINT, path VARCHAR, batch VARCHAR)")
    con.executemany("INSERT INTO work.files VALUES (?, ?, ?)", [[i, p, b[:12]] for i, (p, b) in enumerate(given.files)])
    outputs = list(_outputs(given, views))
    selected = ", ".join(f"{sql} AS c{i}" for i, (sql, _, _) in enumerate(outputs))
    joins = " ".join(f"LEFT JOIN work.hit{index} h{index} ON h{index}.n = l.n" for index in range(len(views)))
    query = f"SELECT {selected} FROM work.labels l JOIN work.files f ON f.i = (l.n >> 40) {joins} ORDER BY l.n"
    reader = con.execute(query).to_arrow_reader(ROW_GROUP)
    schema = pa.schema([
        pa.field(name, _ARROW[dtype] if dtype else reader.schema.field(i).type)
        for i, (_, name, dtype) in enumerate(outputs)
    ])  # fmt: skip
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in _chunks(reader):
            typed = table.rename_columns(schema.names).cast(schema)
            writer.write_table(typed, row_group_size=ROW_GROUP)
            rows += typed.num_rows
    return rows


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables of exactly ROW_GROUP rows but for the last: the file must not depend on how batches were cut."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        while count >= ROW_GROUP:
            table = pa.Table.from_batches(held)
            yield table.slice(0, ROW_GROUP).combine_chunks()
            held = table.slice(ROW_GROUP).to_batches()
            count -= ROW_GROUP
    if count:
        yield pa.Table.from_batches(held).combine_chunks()
