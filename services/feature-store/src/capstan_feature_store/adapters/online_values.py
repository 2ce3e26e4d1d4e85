"""Stored rows as the port's values, judged at an event time."""

from __future__ import annotations

from collections.abc import Sequence

from capstan_feature_store.actions.ports import OnlineValue
from capstan_formats.online import OnlineRow, OnlineSchema, look_up


def answered(schema: OnlineSchema, rows: Sequence[OnlineRow | None], version: str, at_us: int) -> list[OnlineValue]:
    """One value per row; all missing when the store holds another version of the view."""
    if schema.version != version:
        return [OnlineValue("missing", None, {})] * len(rows)
    found = [look_up(row, at_us, schema.ttl_s) for row in rows]
    return [OnlineValue(one.status.value, one.event_ts, dict(one.values or {})) for one in found]
