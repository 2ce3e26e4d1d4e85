"""From the figures of the gates to what becomes of a promotion."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from capstan_contracts.events import GateFigure

NO_QUALITY = "quality"
"""The `kind` of the figure that says that nobody looked at quality."""


class Verdict(StrEnum):
    """What becomes of a promotion."""

    APPROVED = "approved"
    REFUSED = "refused"
    WAITING = "waiting"


def verdict(figures: Sequence[GateFigure]) -> Verdict:
    """One refusal refuses, also while somebody is still to be asked. What could not be judged says what that means."""
    if any(figure.refuses for figure in figures):
        return Verdict.REFUSED
    return Verdict.WAITING if any(figure.waits for figure in figures) else Verdict.APPROVED


def waiting_for(figures: Sequence[GateFigure]) -> str:
    """The sentences of the gates that wait; empty when none does."""
    return " ".join(figure.sentence for figure in figures if figure.waits)


def no_quality(version: int) -> GateFigure:
    """The figure of a loop that says `quality: none`: it stands in every decision, so that nobody is surprised."""
    sentence = f"The loop says `quality: none`: no gate looked at how good version {version} is."
    return GateFigure(gate="quality: none", kind=NO_QUALITY, passed=None, not_judged="allows", sentence=sentence)
