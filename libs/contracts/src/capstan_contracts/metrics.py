"""The metrics that a loop may name, by task. `capstan_evaluation` computes them; its tests hold both equal."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, Field

METRICS_BY_TASK: Final[Mapping[str, tuple[str, ...]]] = {
    "binary": ("accuracy", "auc", "average_precision", "brier", "f1", "logloss", "precision", "recall"),
    "multiclass": ("accuracy", "logloss", "macro_f1"),
    "regression": ("mae", "mape", "pinball", "r2", "rmse"),
    "forecast": ("mae", "mape", "mase", "pinball", "rmse", "smape"),
}

METRICS: Final = tuple(sorted({name for names in METRICS_BY_TASK.values() for name in names}))


def _known(name: str) -> str:
    """ValueError with the nearest names when there is no such metric."""
    if name not in METRICS:
        near = difflib.get_close_matches(name, METRICS, n=3, cutoff=0.5) or METRICS
        raise ValueError(f"no metric {name!r}; write {' or '.join(near)}")
    return name


Metric = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(METRICS)})]
"""The name of a metric, of any task."""
