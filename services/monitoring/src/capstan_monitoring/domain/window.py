"""The states of a window of event time. What the verdicts mean is in `drift.py`, where windows lie in `windows.py`."""

from __future__ import annotations

from enum import StrEnum

from capstan_contracts.states import Machine


class WindowState(StrEnum):
    """As the wire has them."""

    OPEN = "open"
    EVALUATING = "evaluating"
    QUIET = "quiet"
    SUSPECT = "suspect"
    DRIFTED = "drifted"
    TOO_FEW_ROWS = "too-few-rows"
    FAILED = "failed"


JUDGED = (WindowState.QUIET, WindowState.SUSPECT, WindowState.DRIFTED)
"""Windows with a verdict: what later windows look back upon."""

WINDOW = Machine(
    "window",
    WindowState.OPEN,
    {
        (WindowState.OPEN, WindowState.EVALUATING): ("actions.close_windows",),
        (WindowState.EVALUATING, WindowState.QUIET): ("domain.drift",),
        (WindowState.EVALUATING, WindowState.SUSPECT): ("domain.drift",),
        (WindowState.EVALUATING, WindowState.DRIFTED): ("domain.drift",),
        (WindowState.EVALUATING, WindowState.TOO_FEW_ROWS): ("domain.drift",),
        (WindowState.EVALUATING, WindowState.FAILED): ("actions.judge_window",),
    },
)
"""A verdict is final: rows that come later are counted as late. A failed window is not judged again."""
