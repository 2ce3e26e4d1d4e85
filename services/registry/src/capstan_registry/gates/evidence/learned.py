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
    """What one version had seen of some items. `known` is false, and the mask empty, where its run kept no rows."""

    version: int
    known: bool
    items: Mask
    until: datetime | None = None
    """The last event time among what it has learned."""


def learned(contender: Contender, items: pa.Array, event_time: str) -> Learned:
    """Of these items (text). A training set that cannot be read is one that is not known."""
    unknown = Learned(contender.version, known=False, items=np.zeros(len(items), dtype=np.bool_))
    if contender.training_set is None:
        return unknown
    try:
        rows = _columns(contender.training_set, event_time)
        if contender.holdout is not None:
            held_out = _columns(contender.holdout, event_time)[ITEM_ID]
            rows = rows.filter(pc.invert(pc.is_in(rows[ITEM_ID], value_set=held_out)))
    except (pa.ArrowException, OSError, KeyError):
        return unknown
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
