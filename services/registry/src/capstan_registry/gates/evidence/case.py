"""What the job was given: the files and facts that evidence is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capstan_contracts.loop import FeatureDefinitions
from capstan_contracts.rest.registry import ApprovalGiven
from capstan_servicekit.jobs.api import Job


@dataclass(frozen=True)
class Case:
    """One promotion. `champion` is None while there is none, `holdout` when the run pinned none."""

    candidate: Path
    champion: Path | None
    holdout: Path | None
    columns: frozenset[str]
    """Columns of the holdout that gates read besides the label and what the packages read."""
    definitions: FeatureDefinitions
    """The features that the loop serves."""
    task: str | None
    """What the loop says that its model answers."""
    requested_by: str
    approval: ApprovalGiven | None
    resamples: int
    progress: Callable[[int, int, str], None]

    @classmethod
    def of(cls, job: Job, columns: frozenset[str]) -> Case:
        """Read a job's input."""
        given: dict[str, Any] = job.input
        champion, holdout, approval = given["champion"], given["holdout"], given["approval"]
        return cls(
            candidate=Path(given["candidate"]),
            champion=Path(champion) if champion else None,
            holdout=Path(holdout) if holdout else None,
            columns=columns,
            definitions=FeatureDefinitions.model_validate(given["definitions"]),
            task=given["task"],
            requested_by=given["requested_by"],
            approval=ApprovalGiven.model_validate(approval) if approval else None,
            resamples=given["resamples"],
            progress=job.progress,
        )
