"""What a model reads and answers, by name and type; and what each task answers, whatever the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

DType = Literal["float64", "int64", "string", "bool", "timestamp"]
DTYPES: Final = get_args(DType)
#: The source of an input that the caller sends.
REQUEST: Final = "request"
#: The one output that every task of rows has.
PREDICTION: Final = "prediction"
#: Of a multiclass model: the probability of each class, [rows, classes].
PROBABILITIES: Final = "probabilities"


@dataclass(frozen=True, slots=True)
class InputField:
    """A column the model reads; source is "request" or the name of the view that it is looked up in."""

    name: str
    dtype: DType
    source: str = REQUEST


@dataclass(frozen=True, slots=True)
class OutputField:
    """A value the model answers per row; `width` is how many: 1 is an array [rows], more is [rows, width]."""

    name: str
    dtype: DType
    width: int = 1


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs of a model, in the order in which they are shown."""

    inputs: tuple[InputField, ...]
    outputs: tuple[OutputField, ...]

    @property
    def classes(self) -> int | None:
        """How many classes the model tells apart; None where the signature has no `probabilities`."""
        return next((output.width for output in self.outputs if output.name == PROBABILITIES), None)


#: Tasks of models that answer rows.
BINARY: Final = "binary"
REGRESSION: Final = "regression"
MULTICLASS: Final = "multiclass"


def outputs_of(task: str, classes: int = 2) -> tuple[OutputField, ...]:
    """The outputs of a task; KeyError for a task that has none fixed.

    binary: `prediction` is the probability of class 1. regression: `prediction` is the value, in the label's unit.
    multiclass: `prediction` is the most probable class (0 to classes - 1, the lowest of equals), `probabilities` has
    one column per class, in the order of the classes.
    """
    scalar = (OutputField(PREDICTION, "float64"),)
    several = (OutputField(PREDICTION, "int64"), OutputField(PROBABILITIES, "float64", classes))
    return {BINARY: scalar, REGRESSION: scalar, MULTICLASS: several}[task]
