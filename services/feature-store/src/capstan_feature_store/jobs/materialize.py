"""Brings a view's online store to a dataset version: the newest row of each entity, written beside, then switched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from capstan_feature_store.domain.jobs import ViewToWrite, WrittenView
from capstan_feature_store.jobs import view_rows
from capstan_feature_store.jobs.sandbox import Connection, open_sandbox, scalar, within_memory
from capstan_formats.online import EntityRow, OnlineCodecError, OnlineColumn, OnlineSchema, OnlineWriter
from capstan_servicekit.jobs.api import Job, JobRefused

CHUNK = 5_000


def run(job: Job) -> WrittenView:
    """JobRefused when the online store cannot hold the view.

    An entity keeps the row with the newest event time, then created time; where both are equal the later dataset
    version wins, so a corrected value replaces the wrong one and no value ever moves back in time.
    """
    given = job.read(ViewToWrite)
    with within_memory(given.memory_mb):
        return _materialize(job, given)


def _materialize(job: Job, given: ViewToWrite) -> WrittenView:
    view = view_rows.ViewPlan.from_json(given.view)
    con = open_sandbox(job.scratch, {view.dataset: given.files}, memory_mb=given.memory_mb, threads=given.threads)
    job.progress(0, 2, "computing features")
    usable, unusable = view_rows.build(con, view, "work.v", given.threads)
    first, last = scalar(con, "SELECT min(e) FROM work.v"), scalar(con, "SELECT max(e) FROM work.v")
    job.progress(1, 2, "writing the online store")
    try:
        with OnlineWriter(Path(given.folder), schema(view)) as writer:
            writer.write(_newest(con, view, given.sequence))
            generation = writer.commit(last)
    except OnlineCodecError as error:
        raise JobRefused(f"view {view.name!r} cannot be stored: {error}", errors=[(view.name, str(error))]) from error
    finally:
        con.close()
    return WrittenView(
        rows=generation.rows,
        changed=generation.changed,
        source_rows=usable,
        unusable=unusable,
        watermark=generation.watermark,
        event_min=first,
        event_max=last,
    )


def schema(view: view_rows.ViewPlan) -> OnlineSchema:
    """The view as the online store knows it."""

    def columns(pairs: list[tuple[str, str]]) -> tuple[OnlineColumn, ...]:
        return tuple(OnlineColumn(name, dtype) for name, dtype in pairs)  # type: ignore[arg-type]  # checked by the spec

    ttl_s = None if view.ttl_us is None else view.ttl_us // 1_000_000
    return OnlineSchema(view.name, view.version, columns(view.keys), columns(view.columns), ttl_s)


def _newest(con: Connection, view: view_rows.ViewPlan, sequence: int) -> Iterator[EntityRow]:
    keys = ", ".join(f"k{i}" for i in range(len(view.keys)))
    features = ", ".join(f"f{i}" for i in range(len(view.columns)))
    cursor = con.execute(
        f"""SELECT {keys}, e, coalesce(c, e), {features} FROM work.v
        QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY e DESC, c DESC NULLS LAST, h DESC) = 1"""
    )
    parts = len(view.keys)
    while rows := cursor.fetchmany(CHUNK):
        for row in rows:
            yield EntityRow(row[:parts], row[parts], row[parts + 1], row[parts + 2 :], tie=sequence)
