"""The metrics that a loop may name, by task. `capstan_evaluation` computes them; its tests hold both equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from capstan_contracts.kinds.family import Family, nearest

METRICS_BY_TASK: Final[Mapping[str, tuple[str, ...]]] = {
    "binary": ("accuracy", "auc", "average_precision", "brier", "f1", "logloss", "precision", "recall"),
    "multiclass": ("accuracy", "logloss", "macro_f1"),
    "regression": ("mae", "mape", "pinball", "r2", "rmse"),
    "forecast": ("mae", "mape", "mase", "pinball", "rmse", "smape"),
}

Task = Literal["binary", "multiclass", "regression"]
"""What a model of rows may be trained for."""

DEFAULT_METRIC: Final[Mapping[str, str]] = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse"}
"""How live quality is measured, by task, where a loop names no metric."""

METRICS: Final = tuple(sorted({name for names in METRICS_BY_TASK.values() for name in names}))


INSTALLED: Final[Family[object]] = Family("capstan.metrics")
"""Ours and those of other distributions; only their names are looked at here."""


def _check_name(name: str) -> str:
    """ValueError with the nearest name when no installed distribution has such a metric."""
    if name in METRICS or name in INSTALLED:
        return name
    names = tuple(sorted({*METRICS, *INSTALLED}))
    close = nearest(name, names)
    hint = f"did you mean {close!r}?" if close else f"metrics: {', '.join(names)}"
    raise ValueError(f"no metric {name!r}; {hint}")


def misfit(metric: str, task: str) -> str | None:
    """Why one of our metrics is none of the task's, as a sentence; None where it is, or where it is another's metric.

    What task a metric from outside is for is known only where it is installed and run.
    """
    fitting = METRICS_BY_TASK[task]
    if metric not in METRICS or metric in fitting:
        return None
    return f"{metric} is no metric of the task {task}; metrics of it: {', '.join(fitting)}"


Metric = Annotated[str, AfterValidator(_check_name), Field(json_schema_extra={"enum": list(METRICS)})]
"""The name of a metric, of any task."""
