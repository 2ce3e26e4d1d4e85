"""The metrics that a loop may name, by task. `capstan_evaluation` computes them; its tests hold both equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from capstan_contracts.kinds.family import Family, nearest

METRICS_BY_TASK: Final[Mapping[str, tuple[str, ...]]] = {
    "binary": ("accuracy", "auc", "average_precision", "brier", "f1", "logloss", "precision", "recall"),
    "multiclass": ("accuracy", "logloss", "macro_f1"),
    "regression": ("mae", "mape", "pinball", "r2", "rmse"),
    "forecast": ("mae", "mape", "mase", "pinball", "rmse", "smape"),
}

METRICS: Final = tuple(sorted({name for names in METRICS_BY_TASK.values() for name in names}))


INSTALLED: Final[Family[object]] = Family("capstan.metrics")
"""Ours and those of other distributions; only their names are looked at here."""


def _known(name: str) -> str:
    """ValueError with the nearest name when no installed distribution has such a metric."""
    if name in METRICS or name in INSTALLED:
        return name
    known = tuple(sorted({*METRICS, *INSTALLED}))
    close = nearest(name, known)
    hint = f"did you mean {close!r}?" if close else f"metrics: {', '.join(known)}"
    raise ValueError(f"no metric {name!r}; {hint}")


Metric = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(METRICS)})]
"""The name of a metric, of any task."""
