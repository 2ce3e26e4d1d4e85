"""The holdout that the candidate's run pinned."""

from __future__ import annotations

from pathlib import Path

from capstan_packages.models import ModelPackage
from capstan_registry.gates.evidence.case import Contender
from capstan_registry.jobs.scoring import Holdout, Unusable, open_holdout


def read_holdout(contender: Contender, candidate: ModelPackage, extra: frozenset[str]) -> Holdout:
    """The label and every column that the candidate or a gate reads, as far as they are there. Unusable."""
    read = {field.name for field in candidate.header.signature.inputs}
    return open_holdout(pinned(contender), candidate.header, read | extra)


def pinned(contender: Contender) -> Path:
    """The file of its holdout. Unusable where there is none."""
    if contender.holdout is None:
        gone = "holdout" in contender.gone
        raise Unusable("the holdout that the run pinned is gone" if gone else "the run pinned no holdout")
    return contender.holdout
