"""The holdout that the candidate's run pinned."""

from __future__ import annotations

from pathlib import Path

from capstan_packages.models import ModelPackage
from capstan_registry.jobs.scoring import Holdout, Unusable, open_holdout


def read_holdout(path: Path | None, candidate: ModelPackage, extra: frozenset[str]) -> Holdout:
    """The label and every column that the candidate or a gate reads, as far as they are there. Unusable."""
    if path is None:
        raise Unusable("the run pinned no holdout")
    read = {field.name for field in candidate.header.signature.inputs}
    return open_holdout(path, candidate.header, read | extra)
