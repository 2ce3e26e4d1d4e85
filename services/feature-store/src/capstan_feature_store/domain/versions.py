"""Content versions: of a view's definition, of a feature service, and the id of a training set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from capstan_contracts.loop import FeatureServiceSpec, ViewSpec
from capstan_feature_store.domain.sql_text import normalise


def digest_of(value: Any) -> str:
    """sha256 over the canonical JSON of a value: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def view_version(view: ViewSpec) -> str:
    """The version of a view: everything that decides its values, not its description."""
    return digest_of(
        {
            "format": 1,
            "name": view.name,
            "dataset": view.dataset,
            "keys": [[key.name, key.dtype] for key in view.keys],
            "event_time": view.event_time,
            "created_time": view.created_time,
            "ttl_s": None if view.ttl is None else view.ttl.total_seconds(),
            "columns": [[column.name, column.dtype] for column in view.columns],
            "sql": normalise(view.sql),
        }
    )


def service_digest(service: FeatureServiceSpec) -> str:
    """What a feature service says, as one digest."""
    return digest_of(service.model_dump(mode="json"))


def training_set_id(project: str, pins: Mapping[str, Any]) -> str:
    """The id of a training set: the same pins are the same training set."""
    return digest_of({"format": 1, "project": project, **pins})
