"""What the job was given: the files and facts that evidence is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from capstan_contracts.loop import FeatureDefinitions
from capstan_contracts.rest.registry import ApprovalGiven
from capstan_registry.domain.jobs import PromotionToJudge, VersionFiles, VersionObject

ReportProgress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Contender:
    """The files of a version. `training_set`: all rows that its run had; None where the run did not keep them.

    `gone`: what the version has and nobody finds any more; that is None here, too.
    """

    version: int
    package: Path | None
    holdout: Path | None
    training_set: Path | None
    gone: frozenset[VersionObject]

    @classmethod
    def of(cls, files: VersionFiles) -> Contender:
        """Paths of texts."""
        package, holdout, training_set = files["package"], files["holdout"], files["training_set"]
        return cls(
            version=files["version"],
            package=Path(package) if package else None,
            holdout=Path(holdout) if holdout else None,
            training_set=Path(training_set) if training_set else None,
            gone=frozenset(files["gone"]),
        )


@dataclass(frozen=True)
class Case:
    """One promotion. `champion` is None while there is none; `former` are champions of before, newest first."""

    candidate: Contender
    champion: Contender | None
    former: tuple[Contender, ...]
    event_time: str
    """The column of the rows' time."""
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
            candidate=Contender.of(given.candidate),
            champion=Contender.of(given.champion) if given.champion else None,
            former=tuple(map(Contender.of, given.former)),
            event_time=given.event_time,
            columns=columns,
            definitions=FeatureDefinitions.model_validate(given.definitions),
            task=given.task,
            requested_by=given.requested_by,
            approval=ApprovalGiven.model_validate(given.approval) if given.approval else None,
            resamples=given.resamples,
            progress=progress,
        )
