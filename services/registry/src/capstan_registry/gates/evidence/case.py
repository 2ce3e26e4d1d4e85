"""What the job was given: the files and facts that evidence is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from capstan_contracts.loop import FeatureDefinitions
from capstan_contracts.rest.registry import ApprovalGiven
from capstan_registry.domain.jobs import PromotionToJudge

ReportProgress = Callable[[int, int, str], None]


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
    progress: ReportProgress

    @classmethod
    def of(cls, given: PromotionToJudge, columns: frozenset[str], progress: ReportProgress) -> Case:
        """Read a job's input."""
        return cls(
            candidate=Path(given.candidate),
            champion=Path(given.champion) if given.champion else None,
            holdout=Path(given.holdout) if given.holdout else None,
            columns=columns,
            definitions=FeatureDefinitions.model_validate(given.definitions),
            task=given.task,
            requested_by=given.requested_by,
            approval=ApprovalGiven.model_validate(given.approval) if given.approval else None,
            resamples=given.resamples,
            progress=progress,
        )
