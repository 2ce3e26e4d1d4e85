"""Which rows a version has learned: those that its run was given and did not hold out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from capstan_registry.gates.evidence.case import Contender
from capstan_registry.jobs.scoring import ITEM_ID

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Learned:
    """What one version had seen of some items. `known` is false, and the mask empty, where nobody can tell any more."""

    version: int
    known: bool
    items: Mask
    until: datetime | None = None
    """The last event time among what it has learned."""
    why: str | None = None
    """Why it is not known."""


def learned(contender: Contender, items: pa.Array, event_time: str) -> Learned:
    """Of these items (text). Without the holdout it is not known: its rows are in the training set, too."""
    try:
        rows = _learned_rows(contender, event_time)
    except _Unknown as reason:
        nothing = np.zeros(len(items), dtype=np.bool_)
        return Learned(contender.version, known=False, items=nothing, why=str(reason))
    mask = pc.is_in(items, value_set=rows[ITEM_ID].combine_chunks()).to_numpy(zero_copy_only=False)
    return Learned(contender.version, known=True, items=mask, until=last(rows, event_time))


def first(rows: pa.Table, event_time: str) -> datetime | None:
    """The first event time of some rows; None where they have none."""
    return _moment(pc.min(rows[event_time])) if event_time in rows.column_names else None


def last(rows: pa.Table, event_time: str) -> datetime | None:
    """The last event time of some rows; None where they have none."""
    return _moment(pc.max(rows[event_time])) if event_time in rows.column_names else None


def texts(column: pa.ChunkedArray) -> pa.Array:
    """Item ids as text: one recipe may write what another one reads as numbers."""
    return column.cast(pa.string()).combine_chunks()


class _Unknown(Exception):
    """Why nobody can tell what a version has learned."""


def _learned_rows(contender: Contender, event_time: str) -> pa.Table:
    """Those of the training set that are not in the holdout."""
    if contender.training_set is None:
        raise _Unknown("its training set is gone" if "training_set" in contender.gone else "no training set was kept")
    rows = _readable(contender.training_set, event_time, "training set")
    if "holdout" in contender.gone:
        raise _Unknown("its holdout is gone")
    if contender.holdout is None:
        return rows
    held_out = _readable(contender.holdout, event_time, "holdout")[ITEM_ID]
    return rows.filter(pc.invert(pc.is_in(rows[ITEM_ID], value_set=held_out)))


def _readable(path: Path, event_time: str, what: str) -> pa.Table:
    try:
        return _columns(path, event_time)
    except KeyError as error:
        raise _Unknown(f"its {what} has no column {ITEM_ID!r}") from error
    except (pa.ArrowException, OSError) as error:
        raise _Unknown(f"its {what} cannot be read") from error


def _moment(value: pa.Scalar) -> datetime | None:
    if not value.is_valid or not pa.types.is_timestamp(value.type):
        return None
    moment: datetime = value.cast(pa.timestamp("us", value.type.tz), safe=False).as_py()
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _columns(path: Path, event_time: str) -> pa.Table:
    """Item ids as text and, where there is one, the event time. KeyError without item ids."""
    names = pq.read_schema(path).names
    if ITEM_ID not in names:
        raise KeyError(ITEM_ID)
    table = pq.read_table(path, columns=[ITEM_ID, *([event_time] if event_time in names else [])])
    return table.set_column(table.column_names.index(ITEM_ID), ITEM_ID, texts(table[ITEM_ID]))
