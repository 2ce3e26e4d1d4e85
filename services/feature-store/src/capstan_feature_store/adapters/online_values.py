"""Stored entities as the port's values, as of an event time."""

from __future__ import annotations

from collections.abc import Sequence

from capstan_feature_store.actions.ports import OnlineValue
from capstan_formats.online import ForeignFormatError, OnlineEntity, OnlineSchema, OnlineStoreError, look_up
from capstan_servicekit.errors import NotReady


def answered(
    schema: OnlineSchema, entities: Sequence[OnlineEntity | None], version: str, at_us: int
) -> list[OnlineValue]:
    """One value per entity; all missing when the store holds another version of the view. OnlineStoreError where one
    is damaged.
    """
    if schema.version != version:
        return [OnlineValue("missing", None, {})] * len(entities)
    lookups = [look_up(entity, at_us, schema.ttl_s) for entity in entities]
    return [OnlineValue(lookup.status.value, lookup.event_ts, dict(lookup.values or {})) for lookup in lookups]


def unreadable(view: str, error: OnlineStoreError) -> NotReady:
    """What a caller is told of a view that is online and cannot be read."""
    if isinstance(error, ForeignFormatError):
        return NotReady(
            f"the online store of view {view!r} is of another release's format",
            hint="It is made anew by itself; try again after a minute.",
        )
    return NotReady(f"the online store of view {view!r} cannot be read now")
