"""Long work as a resource: state, progress, outcome."""

from __future__ import annotations

from enum import StrEnum

from capstan_contracts.base import Lenient
from capstan_contracts.errors import Problem


class State(StrEnum):
    """Life of a piece of long work."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    """Nothing runs: a person has to answer before it goes on."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self in {State.SUCCEEDED, State.FAILED, State.CANCELLED}


class Progress(Lenient):
    """How far work has come: `done` of `total` units (0 of 0 when not known), and what it does now."""

    done: int = 0
    total: int = 0
    message: str = ""


class WorkStatus(Lenient):
    """State, progress and, when it failed, the problem."""

    state: State
    progress: Progress = Progress()
    problem: Problem | None = None
