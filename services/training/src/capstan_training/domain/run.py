"""The states of a run, and the stages of one that is under way."""

from __future__ import annotations

from enum import StrEnum

from capstan_contracts.states import Machine
from capstan_contracts.work import State


class Stage(StrEnum):
    """How far a run has come, as the wire has it. A run that fails stays in the stage that it failed in."""

    QUEUED = "queued"
    FEATURES = "features"
    PIPELINE = "pipeline"
    PUBLISH = "publish"
    DONE = "done"


_CARRY_OUT = ("actions.carry_out_run",)

RUN = Machine(
    "run",
    State.QUEUED,
    {
        (State.QUEUED, State.RUNNING): _CARRY_OUT,
        (State.RUNNING, State.SUCCEEDED): _CARRY_OUT,
        (State.QUEUED, State.FAILED): _CARRY_OUT,
        (State.RUNNING, State.FAILED): _CARRY_OUT,
        (State.QUEUED, State.CANCELLED): _CARRY_OUT,
        (State.RUNNING, State.CANCELLED): _CARRY_OUT,
    },
    never=(State.WAITING,),  # nobody is asked while a run goes on
)
"""Whoever cancels asks the work to stop; it is the work that writes how the run ended."""

STAGE = Machine(
    "stage of a run",
    Stage.QUEUED,
    {
        (Stage.QUEUED, Stage.FEATURES): _CARRY_OUT,
        (Stage.FEATURES, Stage.PIPELINE): ("actions.make_training_set",),
        (Stage.PIPELINE, Stage.PUBLISH): _CARRY_OUT,
        # Interrupted while it published: the pipeline, whose results lay in the folder of the process, runs again.
        (Stage.PUBLISH, Stage.PUBLISH): _CARRY_OUT,
        (Stage.PUBLISH, Stage.DONE): _CARRY_OUT,
    },
)
