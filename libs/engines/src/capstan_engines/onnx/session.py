"""One ONNX Runtime session: a matrix in, scores out, on the CPU and in the caller's thread."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import onnxruntime

from capstan_engines.errors import EngineError
from capstan_engines.port import Matrix

_FLOATS: Final = {"tensor(float)": np.float32, "tensor(double)": np.float64}
#: Which of several outputs of floats is the score.
_SCORES: Final = ("probabilities", "prediction")
_ERRORS_ONLY: Final = 3
_NOISE: Final = re.compile(r"\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : |/\S+\.(?:h|cc):\d+ .*?\) (?=\S)")


class SessionError(ValueError):
    """ONNX Runtime refuses the model, or the model is not one of a matrix; `rule` is a word, the message a sentence."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail


class Session:
    """A loaded model. Threads may share it: a run keeps the session that it began with."""

    def __init__(self, model: bytes, columns: int) -> None:
        """`columns` is the width of the matrix. SessionError."""
        session = _open(model)
        self.columns = columns
        self._input, self._dtype = _matrix_input(session, columns)
        self._output = _score_output(session)
        self._session: onnxruntime.InferenceSession | None = session

    def width(self) -> int:
        """How many numbers the model answers per row. SessionError where it does not answer a row of zeros."""
        try:
            scores = self.run(np.zeros((2, self.columns)))
        except EngineError as error:
            raise SessionError("onnx", f"the model does not answer rows of zeros: {error}") from None
        if scores.ndim not in (1, 2) or scores.shape[0] != 2:
            raise SessionError("signature", f"answers an array of shape {scores.shape} to 2 rows")
        return 1 if scores.ndim == 1 else int(scores.shape[1])

    def run(self, matrix: Matrix) -> Matrix:
        """Scores of a float64 matrix [rows, columns], as float64. EngineError for another shape or type, or closed."""
        session = self._session
        if session is None:
            raise EngineError("the model is closed")
        if matrix.ndim != 2 or matrix.shape[1] != self.columns:
            raise EngineError(f"rows of {self.columns} features are needed, not shape {matrix.shape}")
        if matrix.dtype != np.float64:
            raise EngineError(f"float64 is needed, not {matrix.dtype}")
        if matrix.shape[0] == 0:
            return np.empty(0)
        with np.errstate(over="ignore"):  # beyond float32 is infinite, as it is for the exporter of the model
            rows = np.ascontiguousarray(matrix, dtype=self._dtype)
        try:
            (scores,) = session.run([self._output], {self._input: rows})
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's own exceptions have no common base
            raise EngineError(f"ONNX Runtime: {_sentence(error)}") from None
        return np.asarray(scores).astype(np.float64)

    def close(self) -> None:
        """Let go of the model; it is freed with the last run under way."""
        self._session = None


def _open(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # One thread per request, as the LightGBM engine has it: more only wait for each other on a busy machine.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Requests differ in their number of rows, so patterns of memory would be kept for sizes that never come again.
    options.enable_mem_pattern = False
    # ONNX Runtime's own binary format would be taken for a model as well, and nothing has looked into that one.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - as above
        version, text = onnxruntime.__version__, _sentence(error)
        if "under development" in text:
            detail = f"its opset is newer than ONNX Runtime {version} runs; export the model with an older one ({text})"
            raise SessionError("opset", detail) from None
        raise SessionError("onnx", f"ONNX Runtime {version} refuses it: {text}") from None


def _matrix_input(session: onnxruntime.InferenceSession, columns: int) -> tuple[str, Any]:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _FLOATS or len(inputs[0].shape) != 2:
        shown = ", ".join(f"{node.name}: {node.type} {node.shape}" for node in inputs)
        raise SessionError("signature", f"one input is needed, a float or double matrix [rows, {columns}], not {shown}")
    rows, width = inputs[0].shape
    if isinstance(rows, int):
        raise SessionError("signature", f"takes {rows} rows at a time; export it with a free first dimension")
    if isinstance(width, int) and width != columns:
        raise SessionError("signature", f"reads {width} columns, the header's features make {columns}")
    return inputs[0].name, _FLOATS[inputs[0].type]


def _score_output(session: onnxruntime.InferenceSession) -> str:
    outputs = session.get_outputs()
    floats = [node.name for node in outputs if node.type in _FLOATS]
    scores = floats if len(floats) == 1 else [name for name in floats if name in _SCORES]
    if len(scores) != 1:
        shown = ", ".join(f"{node.name}: {node.type}" for node in outputs)
        hint = " (export a classifier with zipmap=False)" if any("map(" in node.type for node in outputs) else ""
        raise SessionError("signature", f"one output of floats must hold the scores; the model has {shown}{hint}")
    return str(scores[0])


def _sentence(error: Exception) -> str:
    """What ONNX Runtime says, without codes and the place in its sources, on one line."""
    return _NOISE.sub("", " ".join(str(error).split()))[:500]
