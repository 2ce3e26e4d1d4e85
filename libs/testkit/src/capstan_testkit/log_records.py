"""Records of the prediction log from rows as objects, for tests that think in rows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from capstan_contracts.ids import uuid7
from capstan_formats.id_range import IdRange, id_number
from capstan_formats.record_schema import ColumnPath, RecordSchema
from capstan_formats.records import encode_record

#: All but the one bit that leaves room for the rows to count on.
_ROOM = ~(1 << 31)


def new_ids(count: int) -> IdRange:
    """The ids of a request of `count` rows."""
    return IdRange(id_number(uuid7()) & _ROOM, count)


def log_record(
    rows: Sequence[Mapping[str, Any]], *, ids: IdRange | None = None, answered_at: int | None = None, **schema: Any
) -> bytes:
    """One record: each row has `event_time` and sections (`inputs`, `outputs`, ...) of values by name.

    `lookup_keys` has such a section per view.

    A name that one row lacks is null there. `schema` overrides model, version, package, deployment and revision.
    """
    flat = [_flat(row) for row in rows]
    paths = list(dict.fromkeys(path for row in flat for path in row))
    values = [[row.get(path) for row in flat] for path in paths]
    about: dict[str, Any] = {"model": "m", "version": 1, "package": "0" * 64, "deployment": "m", "revision": 1}
    return encode_record(
        RecordSchema(**about | schema, columns=tuple(paths)),
        ids or new_ids(len(rows)),
        time.time_ns() // 1000 if answered_at is None else answered_at,
        [row["event_time"] for row in rows],
        values,
    )


def _flat(row: Mapping[str, Any]) -> dict[ColumnPath, Any]:
    cells: dict[ColumnPath, Any] = {
        (section, name): value
        for section in ("inputs", "looked_up", "feature_times", "outputs")
        for name, value in (row.get(section) or {}).items()
    }
    keys = row.get("lookup_keys") or {}
    return cells | {("lookup_keys", view, key): value for view, asked in keys.items() for key, value in asked.items()}
