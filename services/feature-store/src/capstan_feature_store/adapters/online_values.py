"""Stored entities as the port's values, as of an event time."""

from __future__ import annotations

from collections.abc import Sequence

from capstan_feature_store.actions.ports import OnlineValue
from capstan_formats.online import OnlineEntity, OnlineSchema, look_up


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
