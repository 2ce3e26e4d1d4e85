"""The retrain guard, in event time: one at a time, a cool-down, a budget per day, patience after refused candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from capstan_contracts.loop import RetrainSpec
from capstan_monitoring.domain.retrain import OPEN, RetrainState

LONGEST_BACKOFF = 6


@dataclass(frozen=True)
class PastRetrain:
    """A retrain that was asked for; withheld ones do not count."""

    state: str
    event_time: datetime


def refusal(now: datetime, past: Sequence[PastRetrain], policy: RetrainSpec) -> str | None:
    """Why a retrain at event time `now` must wait, or None. `past` is newest first.

    Each candidate that the gates refused in a row doubles the cool-down, up to 64 times.
    """
    if any(retrain.state in OPEN for retrain in past):
        return "another retrain of this loop is under way"
    refused = 0
    for retrain in past:
        if retrain.state not in (RetrainState.REFUSED, RetrainState.FAILED):
            break
        refused += 1
    if past:
        wait: timedelta = policy.cool_down * 2 ** min(refused, LONGEST_BACKOFF)
        over = past[0].event_time + wait
        if now < over:
            after = f" after {refused} refused candidate(s) in a row" if refused else ""
            return f"the cool-down{after} lasts until {over:%Y-%m-%d %H:%M} (event time)"
    today = [retrain for retrain in past if retrain.event_time.date() == now.date()]
    if len(today) >= policy.budget_per_day:
        return f"the budget of {policy.budget_per_day} retrain(s) a day is spent"
    return None
