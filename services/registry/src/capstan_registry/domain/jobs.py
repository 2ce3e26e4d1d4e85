"""What jobs of the registry are given and what they make. Files are paths, models of the contracts are their JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

Document = dict[str, object]
"""A model of the contracts as JSON: the other end parses it by the model that is named beside it."""


VersionObject = Literal["package", "holdout", "training_set"]


class VersionFiles(TypedDict):
    """A version: its package, the holdout that its run pinned, and the rows that the run had, holdout included."""

    version: int
    package: str | None
    """None only where it is gone."""
    holdout: str | None
    training_set: str | None
    """None for runs of a release that did not keep it, too: what the version has learned is then not known."""
    gone: list[VersionObject]
    """What the version has and the object store has not any more."""


@dataclass(frozen=True)
class PromotionToJudge:
    """One promotion: the candidate, the champion (None while there is none) and champions before it, newest first.

    `task` is what the loop says that its model answers, `event_time` the name of its rows' time.
    """

    candidate: VersionFiles
    champion: VersionFiles | None
    former: list[VersionFiles]
    event_time: str
    gates: list[Document]
    """Each a GateSpec."""
    definitions: Document
    """The loop's FeatureDefinitions."""
    task: str | None
    requested_by: str
    approval: Document | None
    """An ApprovalGiven."""
    resamples: int


@dataclass(frozen=True)
class JudgedPromotion:
    """A GateFigure per gate, in their order; and the file in scratch of item-level scores, None if none were made."""

    figures: list[Document]
    items: str | None


@dataclass(frozen=True)
class GatesToAsk:
    """Gates of which the service wants to know what they will read."""

    gates: list[Document]
    """Each a GateSpec."""


@dataclass(frozen=True)
class GateNeeds:
    """Whether one of the gates needs champions; without that only package and holdout of the candidate are read."""

    champions: bool
