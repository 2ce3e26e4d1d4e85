"""The engine `onnx`: one member, model.onnx, with one matrix as input. Importing it imports ONNX Runtime (38 MB)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from capstan_engines.onnx.model_check import OnnxModelError, check_model
from capstan_engines.onnx.session import Session, SessionError
from capstan_engines.outputs import named, warming_rows
from capstan_engines.port import Matrix, Outputs
from capstan_packages.errors import PackageError
from capstan_packages.models import ModelContents
from capstan_packages.signature import BINARY, MULTICLASS, REGRESSION, Signature

MODEL_ONNX: Final = "model.onnx"
#: What a protocol buffer may have.
MAX_BYTES: Final = 2 * 1024**3 - 1


@dataclass(frozen=True, slots=True)
class Onnx:
    """See `port.Engine`.

    The model's one input is float or double [rows, number of features], with any number of rows; its scores are one
    output of floats: the probability of class 1 as [rows], [rows, 1] or the second of [rows, 2] for `binary`, the value
    as [rows] or [rows, 1] for `regression`, the probabilities [rows, classes] for `multiclass`. Where it has several
    outputs of floats, the one called `probabilities` or `prediction` is meant; outputs of labels are not read.
    """

    name: str = "onnx"
    members: tuple[str, ...] = (MODEL_ONNX,)
    tasks: frozenset[str] = frozenset({BINARY, MULTICLASS, REGRESSION})

    def check(self, package: ModelContents) -> Signature:
        """See `Engine.check`; loads the model to find out."""
        self.load(package).close()
        return package.header.signature

    def load(self, package: ModelContents) -> OnnxPredictor:
        """See `Engine.load`."""
        header = package.header
        data = package.read(MODEL_ONNX, MAX_BYTES)
        try:
            check_model(data)
            session = Session(data, len(header.features))
            return OnnxPredictor(session, header.task, header.signature)
        except (OnnxModelError, SessionError) as error:
            raise PackageError(MODEL_ONNX, error.rule, error.detail) from None


ENGINE: Final = Onnx()


class OnnxPredictor:
    """A session with its outputs by name; see `port.Predictor`."""

    def __init__(self, session: Session, task: str, signature: Signature) -> None:
        """Asks for two rows to learn how wide the scores are. SessionError where that is not the task's width."""
        self.signature = signature
        self._session, self._task = session, task
        self._width = session.width()
        wanted = (signature.classes,) if task == MULTICLASS else (1, 2) if task == BINARY else (1,)
        if self._width not in wanted:
            shown = " or ".join(map(str, wanted))
            detail = f"answers {self._width} numbers per row where the task {task!r} has {shown}"
            raise SessionError("signature", detail)

    def predict(self, matrix: Matrix) -> Outputs:
        """See `Predictor.predict`."""
        scores = self._session.run(matrix).reshape(matrix.shape[0], self._width)
        return named(self._task, scores if self._task == MULTICLASS else scores[:, -1].copy())

    def warm(self) -> None:
        """See `Predictor.warm`."""
        for rows in warming_rows(self._session.columns):
            self.predict(rows)

    def close(self) -> None:
        """See `Predictor.close`."""
        self._session.close()
