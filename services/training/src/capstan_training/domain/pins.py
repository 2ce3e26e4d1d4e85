"""The inputs that a run is pinned to, as the pipeline gets them: one JSON document named `manifest`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from capstan_contracts.documents import Scalar
from capstan_training.domain.jobs import Arguments
from capstan_training.domain.part import TrainingPart


@dataclass(frozen=True, slots=True)
class Pins:
    """Everything that decides a run's result. The same pins give the same package digest."""

    dataset_version: str
    dataset_versions: Mapping[str, str]
    view_versions: Mapping[str, str]
    code: str
    seed: int
    parameters: Arguments


def manifest(project: str, part: TrainingPart, pins: Pins) -> str:
    """Canonical JSON: what is looked up, what a caller sends, and the pins. Run id, times and host are outside it."""
    service = part.definitions.service
    views = {view.name: view for view in part.definitions.views}
    lookups = []
    for lookup in service.lookups:
        view = views[lookup.view]
        lookups.append(
            {
                "view": view.name,
                "version": pins.view_versions[view.name],
                "keys": dict(lookup.keys),
                "columns": [{"name": column.name, "dtype": column.dtype} for column in view.columns],
                "ttl_s": int(view.ttl.total_seconds()) if view.ttl is not None else None,
            }
        )
    document = {
        "loop": part.loop,
        "project": project,
        "lookups": lookups,
        "request": [{"name": column.name, "dtype": column.dtype} for column in service.request],
        "derived": dict(service.derived),
        "label_time": service.label_time,
        "pins": {
            "dataset_version": pins.dataset_version,
            "dataset_versions": dict(pins.dataset_versions),
            "view_versions": dict(pins.view_versions),
            "code": pins.code,
            "seed": pins.seed,
            "parameters": dict(pins.parameters),
        },
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def given(project: str, part: TrainingPart, pins: Pins) -> dict[str, Scalar]:
    """The platform's own arguments, without `training_set`: its place is known to the executor only."""
    return {
        "label": part.training.label,
        "manifest": manifest(project, part, pins),
        "seed": pins.seed,
        "holdout_days": part.training.holdout.days,
    }
