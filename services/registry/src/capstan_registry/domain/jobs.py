"""What jobs of the registry are given and what they make. Files are paths, models of the contracts are their JSON."""

from __future__ import annotations

from dataclasses import dataclass

Document = dict[str, object]
"""A model of the contracts as JSON: the other end parses it by the model that is named beside it."""


@dataclass(frozen=True)
class PromotionToJudge:
    """One promotion: packages of candidate and champion (None while there is none), the holdout that the run pinned.

    `task` is what the loop says that its model answers.
    """

    candidate: str
    champion: str | None
    holdout: str | None
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
class KindsToImport:
    """What is installed in the worker's environment: nothing is given."""


@dataclass(frozen=True)
class BrokenKinds:
    """A sentence for each kind that cannot be used."""

    sentences: list[str]
