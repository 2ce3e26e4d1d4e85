"""The states of a retrain: what may become of it, and by whom. Whether one is asked for at all is in `guard.py`."""

from __future__ import annotations

from enum import StrEnum

from capstan_contracts.states import Machine


class RetrainState(StrEnum):
    """As the wire has them. `waiting`: for the labels of the window that drifted. `withheld`: the guard said no."""

    WAITING = "waiting"
    WITHHELD = "withheld"
    REQUESTED = "requested"
    RUNNING = "running"
    PROMOTED = "promoted"
    REFUSED = "refused"
    FAILED = "failed"


OPEN = (RetrainState.WAITING, RetrainState.REQUESTED, RetrainState.RUNNING)
"""One of these at a time per loop."""

RETRAIN = Machine(
    "retrain",
    RetrainState.WAITING,
    {
        (RetrainState.WAITING, RetrainState.WITHHELD): ("actions.consider_retrain",),
        (RetrainState.WAITING, RetrainState.REQUESTED): ("actions.consider_retrain",),
        (RetrainState.REQUESTED, RetrainState.RUNNING): ("actions.follow_retrains",),
        (RetrainState.RUNNING, RetrainState.FAILED): ("actions.follow_retrains",),
        (RetrainState.RUNNING, RetrainState.REFUSED): ("actions.follow_retrains",),
        (RetrainState.RUNNING, RetrainState.PROMOTED): ("actions.follow_retrains",),
    },
)
