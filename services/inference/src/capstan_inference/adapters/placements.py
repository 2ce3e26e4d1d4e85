"""Placements as JSON: as the data plane is told of them, and as a pod's template keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from capstan_inference.actions.ports import Placement
from capstan_inference.adapters.data_plane import GRACE_S
from capstan_inference.domain.parts import ServingPart
from capstan_inference.settings import Settings


def command(placement: Placement, path: Path) -> dict[str, Any]:
    """For the data plane; `path` is where the package lies on its machine."""
    return {
        "project": placement.project,
        "deployment": placement.deployment,
        "version": placement.version,
        "revision": placement.revision,
        "package": placement.package,
        "path": str(path),
        **placement.part.to_json(),
    }


def text(placement: Placement) -> str:
    """One spelling per placement, so that texts can be compared."""
    source = {
        "project": placement.project,
        "deployment": placement.deployment,
        "version": placement.version,
        "revision": placement.revision,
        "package": placement.package,
        "part": placement.part.to_json(),
    }
    return json.dumps(source, sort_keys=True, separators=(",", ":"))


def parse(source: str) -> Placement:
    """What `text` wrote. ValueError."""
    try:
        values = json.loads(source)
        return Placement(
            project=str(values["project"]),
            deployment=str(values["deployment"]),
            version=int(values["version"]),
            revision=int(values["revision"]),
            package=str(values["package"]),
            part=ServingPart.from_json(values["part"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no placement: {error}") from error


def limits(settings: Settings, segment_age_s: float) -> dict[str, Any]:
    """The data plane's bounds, wherever it runs."""
    return {
        "max_body_bytes": settings.model_max_body_bytes,
        "max_rows": settings.model_max_rows,
        "max_waiting": settings.model_max_waiting,
        "deadline_s": settings.model_deadline_s,
        "segment_bytes": settings.segment_bytes,
        "segment_age_s": segment_age_s,
        "grace_s": GRACE_S,
    }
