"""What the pod of a run is told by its environment. Read once, and taken out of it: children do not inherit it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from capstan_training.domain.pod_program import SCRATCH, TOKEN, URL


@dataclass(frozen=True)
class PodSettings:
    """`url` is that of the run's own routes, `token` opens them, `scratch` is a folder for the run's files."""

    url: str
    token: str = field(repr=False)
    scratch: Path


def take_settings() -> PodSettings:
    """Read the settings and remove them from the environment."""
    values = [os.environ.pop(name, "") for name in (URL, TOKEN, SCRATCH)]
    if not all(values):
        raise SystemExit(f"[pod] {URL}, {TOKEN} and {SCRATCH} must be set: this program is started by Capstan")
    return PodSettings(values[0].rstrip("/"), values[1], Path(values[2]))
