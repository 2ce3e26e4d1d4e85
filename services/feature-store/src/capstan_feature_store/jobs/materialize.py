"""Writes what one version of a dataset says into a view's online store, beside what is there, then switches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from capstan_feature_store.domain.jobs import ViewToWrite, WrittenView
from capstan_feature_store.jobs import point_in_time, view_rows
from capstan_feature_store.jobs.sandbox import Connection, open_sandbox, scalar, within_memory
from capstan_formats.online import (
    EntityRow,
    NewerOnlineError,
    OnlineCodecError,
    OnlineColumn,
    OnlineSchema,
    OnlineWriter,
)
from capstan_servicekit.jobs.api import Job, JobRefused

CHUNK = 5_000


def run(job: Job) -> WrittenView:
    """JobRefused when the online store cannot hold the view.

    The view is made anew from the whole version, so that whatever was corrected or withdrawn since the last one is
    gone. Of each entity those rows are kept that the point-in-time rule gives from `now_us` on, whatever the moment,
    and `older_rows` of those that it gave before. A later version that is online already stays: `newer` says so.
    """
    given = job.read(ViewToWrite)
    with within_memory(given.memory_mb):
        return _materialize(job, given)


def _materialize(job: Job, given: ViewToWrite) -> WrittenView:
    view = view_rows.ViewPlan.from_json(given.view)
    con = open_sandbox(job.scratch, {view.dataset: given.files}, memory_mb=given.memory_mb, threads=given.threads)
    job.progress(0, 2, "computing features")
    _, unusable = view_rows.build(con, view, "work.v", given.threads)
    first, last = scalar(con, "SELECT min(e) FROM work.v"), scalar(con, "SELECT max(e) FROM work.v")
    complete_to = scalar(con, "SELECT max(e) FROM work.v WHERE c IS NOT NULL AND greatest(e, c) <= ?", [given.now_us])
    never = scalar(con, "SELECT count(*) FROM work.v WHERE c IS NULL")
    written = WrittenView(0, unusable + never, complete_to, first, last)
    job.progress(1, 2, "writing the online store")
    try:
        with OnlineWriter(Path(given.folder), schema(view), given.sequence) as writer:
            writer.write(_rows(con, view, given.now_us, given.older_rows))
            generation = writer.commit(complete_to)
    except NewerOnlineError as error:
        return replace(written, newer=str(error))
    except OnlineCodecError as error:
        raise JobRefused(f"view {view.name!r} cannot be stored: {error}", errors=[(view.name, str(error))]) from error
    finally:
        con.close()
    return replace(written, rows=generation.rows)


def schema(view: view_rows.ViewPlan) -> OnlineSchema:
    """The view as the online store knows it."""

    def columns(pairs: list[tuple[str, str]]) -> tuple[OnlineColumn, ...]:
        return tuple(OnlineColumn(name, dtype) for name, dtype in pairs)  # type: ignore[arg-type]  # checked by the spec

    ttl_s = None if view.ttl_us is None else view.ttl_us // 1_000_000
    return OnlineSchema(view.name, view.version, columns(view.keys), columns(view.columns), ttl_s)


def _rows(con: Connection, view: view_rows.ViewPlan, now_us: int, older_rows: int) -> Iterator[EntityRow]:
    """Rows to keep, those of one entity together and in the order in which they take effect."""
    parts = len(view.keys)
    keys, features = [f"k{i}" for i in range(parts)], [f"f{i}" for i in range(len(view.columns))]
    point_in_time.answers(con, "work.v", "work.kept", keys, now_us=now_us, older=older_rows)
    columns, order = ", ".join([*keys, "e", "known", "older", *features]), ", ".join([*keys, "known"])
    cursor = con.execute(f"SELECT {columns} FROM work.kept ORDER BY {order}")
    while rows := cursor.fetchmany(CHUNK):
        for row in rows:
            yield EntityRow(row[:parts], row[parts], row[parts + 1], row[parts + 3 :], older=row[parts + 2])
