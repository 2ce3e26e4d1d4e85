"""The engine `lightgbm`: one member, model.txt, whose objective has to be one of the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from capstan_engines.lightgbm.booster import Booster
from capstan_engines.lightgbm.booster_text import BoosterText, BoosterTextError, check_booster_text
from capstan_engines.outputs import named, warming_rows
from capstan_engines.port import Matrix, Outputs
from capstan_packages.errors import PackageError
from capstan_packages.models import ModelContents
from capstan_packages.signature import BINARY, MULTICLASS, REGRESSION, Signature

MODEL_TXT: Final = "model.txt"
MAX_BYTES: Final = 512 * 1024 * 1024

#: LightGBM's objectives (https://lightgbm.readthedocs.io/en/stable/Parameters.html#objective) whose answers are those
#: of a task. Not among them: rankings, `multiclassova` (its answers do not sum to 1), `cross_entropy_lambda` (no
#: probability), and objectives of the caller's own, whose answers are raw scores.
TASK_OF_OBJECTIVE: Final = {
    **dict.fromkeys(("binary", "cross_entropy"), BINARY),
    "multiclass": MULTICLASS,
    **dict.fromkeys(
        ("regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie"), REGRESSION
    ),
}


@dataclass(frozen=True, slots=True)
class LightGBM:
    """See `port.Engine`. Adds LightGBM's C library to a process (6 MB), and neither its Python package nor sklearn."""

    name: str = "lightgbm"
    members: tuple[str, ...] = (MODEL_TXT,)
    tasks: frozenset[str] = frozenset({BINARY, MULTICLASS, REGRESSION})

    def check(self, package: ModelContents) -> Signature:
        """See `Engine.check`."""
        _checked_text(package)
        return package.header.signature

    def load(self, package: ModelContents) -> BoosterPredictor:
        """See `Engine.load`."""
        text, checked = _checked_text(package)
        return BoosterPredictor(Booster(text, checked=checked), package.header.task, package.header.signature)


ENGINE: Final = LightGBM()


class BoosterPredictor:
    """A booster with its outputs by name; see `port.Predictor`."""

    def __init__(self, booster: Booster, task: str, signature: Signature) -> None:
        self.signature = signature
        self._booster, self._task = booster, task

    def predict(self, matrix: Matrix) -> Outputs:
        """See `Predictor.predict`."""
        return named(self._task, self._booster.predict(matrix))

    def warm(self) -> None:
        """See `Predictor.warm`."""
        for rows in warming_rows(self._booster.num_features):
            self.predict(rows)

    def close(self) -> None:
        """See `Predictor.close`."""
        self._booster.close()


def _checked_text(package: ModelContents) -> tuple[bytes, BoosterText]:
    """model.txt and what it holds, which fits header and task. LightGBM's own parser would not survive a broken one."""
    header = package.header
    text = package.read(MODEL_TXT, MAX_BYTES)
    try:
        found = check_booster_text(text)
    except BoosterTextError as error:
        raise PackageError(MODEL_TXT, "booster-text", str(error)) from None
    columns = len(header.features)
    if found.columns != columns:
        detail = f"reads {found.columns} columns, the header's features make {columns}"
        raise PackageError(MODEL_TXT, "signature", detail)
    task = TASK_OF_OBJECTIVE.get(found.objective)
    if task is None:
        known = ", ".join(sorted(TASK_OF_OBJECTIVE))
        raise PackageError(MODEL_TXT, "objective", f"no task has the objective {found.objective!r}; known: {known}")
    if task != header.task:
        detail = f"the objective {found.objective!r} is one of the task {task!r}, and the header says {header.task!r}"
        raise PackageError(MODEL_TXT, "objective", detail)
    if task == MULTICLASS and found.classes != header.signature.classes:
        detail = f"tells {found.classes} classes apart, the header's probabilities have {header.signature.classes}"
        raise PackageError(MODEL_TXT, "signature", detail)
    return text, found
