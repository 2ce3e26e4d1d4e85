"""What an engine is: it checks the members of a model package and loads them into a predictor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from capstan_packages.models import ModelContents
from capstan_packages.signature import Signature

#: What a model reads: float64 [rows, columns], NaN where a value is null or unknown.
Matrix = npt.NDArray[np.float64]
Values = npt.NDArray[np.float64] | npt.NDArray[np.int64]
#: What a model answers: for each output of the signature, by name, an array [rows], or [rows, width] where width > 1.
Outputs = Mapping[str, Values]


class Predictor(Protocol):
    """A loaded model. Any thread may call it at any time; each prediction uses one thread of its own."""

    @property
    def signature(self) -> Signature:
        """The inputs and outputs of the package, as the engine confirmed them."""
        ...

    def predict(self, matrix: Matrix) -> Outputs:
        """Every output of the signature, with its type and width, for a matrix [rows, number of features].

        Row i of each output belongs to row i of the matrix; no rows give empty arrays. The arrays belong to the caller:
        no later call changes them. EngineError for another shape or type, or when the predictor is closed.

        A call cannot be cancelled: it runs to its end in its thread, so whoever gives up on it must not wait for it.
        """
        ...

    def warm(self) -> None:
        """Pay for what the first predictions would pay: one of one row, one of several. EngineError if they fail."""
        ...

    def close(self) -> None:
        """Free the model once no prediction runs. Closing twice is fine; predicting afterwards is an EngineError."""
        ...


class Engine(Protocol):
    """A way to run models. One object per process, stateless, used by any thread.

    `name` is the `engine` of model.json and the name of the entry point. `members` are the files it reads, `tasks` what
    it can be asked for (`capstan_packages.signature.outputs_of` says what each task answers). Header and members are
    compared with them before the engine is asked, see `family.check`.
    """

    @property
    def name(self) -> str: ...

    @property
    def members(self) -> tuple[str, ...]: ...

    @property
    def tasks(self) -> frozenset[str]: ...

    def check(self, package: ModelContents) -> Signature:
        """Whether `load` would succeed, and with which signature.

        PackageError names the member and the rule that it breaks: width, objective, number of classes, operators.
        EngineError when the engine itself cannot work here. Nothing in the package runs as code.
        """
        ...

    def load(self, package: ModelContents) -> Predictor:
        """The model in memory, checked on the very bytes that are loaded. Errors as of `check`."""
        ...
