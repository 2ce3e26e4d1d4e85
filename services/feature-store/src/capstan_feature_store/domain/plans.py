"""What jobs are told of views and services, as plain JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from capstan_contracts.loop import FeatureServiceSpec, ViewSpec
from capstan_feature_store.domain.derived import source_column
from capstan_feature_store.domain.sql_text import normalise
from capstan_feature_store.domain.versions import view_version


def view_plan(view: ViewSpec) -> dict[str, Any]:
    """A view: names, types, ttl in microseconds, and its SQL in normal form."""
    return {
        "name": view.name,
        "version": view_version(view),
        "dataset": view.dataset,
        "sql": normalise(view.sql),
        "keys": [[key.name, key.dtype] for key in view.keys],
        "columns": [[column.name, column.dtype] for column in view.columns],
        "event_time": view.event_time,
        "created_time": view.created_time,
        "ttl_us": None if view.ttl is None else view.ttl // timedelta(microseconds=1),
    }


def service_plan(service: FeatureServiceSpec) -> dict[str, Any]:
    """A feature service: request columns, derived columns with their source, and lookups by view."""
    return {
        "label_time": service.label_time,
        "request": [[column.name, column.dtype] for column in service.request],
        "derived": [[name, source_column(expression)] for name, expression in service.derived.items()],
        "lookups": {lookup.view: dict(lookup.keys) for lookup in service.lookups},
    }
