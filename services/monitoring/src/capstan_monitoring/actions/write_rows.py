"""Many rows in one statement, the same on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Table, case, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase

from capstan_monitoring.tables import LabelRow, MonitorRow, ScoredRow
from capstan_servicekit.db.session import WriteSession

CHUNK = 1000
Label = tuple[str, float | None]
Window = tuple[datetime, int]


def chunks(path: Path) -> Iterator[list[Any]]:
    """JSON lines, CHUNK at a time: a file of any size in little memory."""
    with path.open(encoding="utf-8") as lines:
        while rows := [json.loads(line) for line in islice(lines, CHUNK)]:
            yield rows


def upsert(session: WriteSession, model: type[DeclarativeBase]) -> Any:
    """INSERT that may say `on_conflict_...`."""
    table = model.__table__
    assert isinstance(table, Table)
    make = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    return make(table)


async def insert_scored(session: WriteSession, project: str, loop: str, rows: list[dict[str, Any]]) -> None:
    """Insert predictions that are not there yet, each with its label where that came first."""
    keys = {key for row in rows for key in (row["join_key"], row["by_id"]) if key is not None}
    of_loop = (LabelRow.project == project, LabelRow.loop == loop)
    known: dict[str, tuple[int, float | None]] = {}
    ordered = sorted(keys)
    for start in range(0, len(ordered), CHUNK):
        part = ordered[start : start + CHUNK]
        labels = await session.execute(
            select(LabelRow.join_key, LabelRow.said, LabelRow.value).where(*of_loop, LabelRow.join_key.in_(part))
        )
        known |= {key: (said, value) for key, said, value in labels}
    for row in rows:
        statements = [known[key] for key in (row.pop("by_id"), row["join_key"]) if key in known]
        # The later statement; of one request that says both, what it says of the prediction itself.
        _, row["label"] = max(statements, key=itemgetter(0), default=(0, None))
        row["state"] = "awaited" if not statements else "never" if row["label"] is None else "labelled"
    if rows:
        await session.execute(upsert(session, ScoredRow).on_conflict_do_nothing(), rows)


async def next_statement(session: WriteSession, project: str, loop: str) -> int:
    """The number of what is said now about labels of a loop. Others of the loop wait until this transaction ends."""
    monitors = MonitorRow.__table__
    result = await session.execute(
        update(MonitorRow.__table__)  # type: ignore[arg-type]
        .where(monitors.c.project == project, monitors.c.loop == loop)
        .values(statements=monitors.c.statements + 1)
        .returning(monitors.c.statements)
    )
    return int(result.scalar_one())


async def write_labels(
    session: WriteSession, project: str, loop: str, labels: list[Label], rank: int | None, said: int
) -> tuple[int, set[Window]]:
    """Keep labels by key and give them to the predictions of that key: how many predictions, and their windows.

    `rank` None: by hand; it stands until a newer dataset version speaks of the same key. `said` is the number of the
    statement: a label that an older version says, and that is not kept, is given to no prediction either.
    """
    if not labels:
        return 0, set()
    rows = [
        {"project": project, "loop": loop, "join_key": key, "value": value, "rank": rank or 0, "said": said}
        for key, value in labels
    ]
    insert = upsert(session, LabelRow)
    new = {"value": insert.excluded.value, "said": insert.excluded.said}
    if rank is None:
        keep = insert.on_conflict_do_update(index_elements=["project", "loop", "join_key"], set_=new)
    else:
        keep = insert.on_conflict_do_update(
            index_elements=["project", "loop", "join_key"],
            set_=new | {"rank": insert.excluded.rank},
            where=insert.excluded.rank >= LabelRow.__table__.c.rank,
        )
    await session.execute(keep, rows)
    scored, label = ScoredRow.__table__, LabelRow.__table__
    # Each key has a label now, so a look-up per prediction does. A join of the two tables would be planned without
    # knowing of the rows that this transaction has written: PostgreSQL then reads all labels for each prediction.
    of_key = (label.c.project == project, label.c.loop == loop, label.c.join_key == scored.c.join_key)
    value = select(label.c.value).where(*of_key).scalar_subquery()
    kept_by = select(label.c.said).where(*of_key).scalar_subquery()
    result = await session.execute(
        update(ScoredRow.__table__)  # type: ignore[arg-type]
        .where(scored.c.project == project, scored.c.loop == loop)
        .where(scored.c.join_key.in_([key for key, _ in labels]), kept_by == said)
        .values(label=value, state=case((value.is_(None), "never"), else_="labelled"))
        .returning(scored.c.window_start, scored.c.version)
    )
    touched = [(start, version) for start, version in result]
    return len(touched), set(touched)
