"""A LightGBM booster through LightGBM's C library: `import lightgbm` would pull in scikit-learn and 200 MB."""

from __future__ import annotations

import ctypes
import importlib.util
import threading
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from capstan_engines.errors import EngineError
from capstan_engines.lightgbm.booster_text import BoosterText, BoosterTextError, check_booster_text
from capstan_engines.lightgbm.quick_scorer import quick_scorer
from capstan_engines.port import Matrix

# From LightGBM's include/LightGBM/c_api.h.
_FLOAT64: Final = 1
_PREDICT_NORMAL: Final = 0
_ROW_MAJOR: Final = 1
_ALL_ITERATIONS: Final = -1
#: One thread per request: with more, OpenMP barriers wait for descheduled threads and the tail grows a hundredfold.
_PARAMETERS: Final = b"num_threads=1 verbosity=-1"


class _SingleRow:
    """One prepared single-row call: LightGBM's configuration, and buffers whose addresses stay. For one at a time."""

    def __init__(self, handle: ctypes.c_void_p, width: int, shape: tuple[int, ...]) -> None:
        self.handle = handle
        self.row = np.empty((1, width), dtype=np.float64)
        self.answer = np.empty(shape, dtype=np.float64)
        self.length = ctypes.c_int64()
        self.arguments = (handle, self.row.ctypes.data, ctypes.addressof(self.length), self.answer.ctypes.data)


class Booster:
    """A loaded model. Threads may share it; `close` waits for predictions under way.

    EngineError where the text is no LightGBM model. `checked` is what `check_booster_text` found, for a caller who has
    asked already; the library itself would end the process on a broken tree.
    """

    def __init__(self, model: bytes, *, checked: BoosterText | None = None) -> None:
        try:
            text = checked or check_booster_text(model)
        except BoosterTextError as error:
            raise EngineError(str(error)) from None
        self._library = _library()
        #: For many rows, where the model's shape allows it.
        self.quick = quick_scorer(text)
        # As many as there ever were predictions at one time, however many threads came and went.
        self._idle_rows: list[_SingleRow] = []
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._running = 0
        self._closing = False
        handle, iterations = ctypes.c_void_p(), ctypes.c_int()
        load = self._library.LGBM_BoosterLoadModelFromString
        _check(self._library, load(model, ctypes.byref(iterations), ctypes.byref(handle)))
        self._handle: ctypes.c_void_p | None = handle
        width = ctypes.c_int()
        _check(self._library, self._library.LGBM_BoosterGetNumFeature(handle, ctypes.byref(width)))
        #: How many columns a row must have.
        self.num_features: int = width.value
        classes = ctypes.c_int()
        _check(self._library, self._library.LGBM_BoosterGetNumClasses(handle, ctypes.byref(classes)))
        #: How many numbers it answers per row: 1, or one per class.
        self.num_outputs: int = classes.value
        self._single_row = self._library.LGBM_BoosterPredictForMatSingleRowFast
        #: Names in column order, as training gave them.
        self.feature_names: list[str] = self._read_names()

    def predict(self, matrix: Matrix) -> Matrix:
        """Answers [n], or [n, num_outputs] where those are several, to a float64 matrix [n, num_features].

        EngineError for another shape or type, and when the booster is closed.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self.num_features:
            raise EngineError(f"rows of {self.num_features} features are needed, not shape {matrix.shape}")
        if matrix.dtype != np.float64:
            raise EngineError(f"float64 is needed, not {matrix.dtype}")
        with self._lock:
            if self._handle is None:
                raise EngineError("the booster is closed")
            handle = self._handle
            self._running += 1
        try:
            return self._one(handle, matrix) if matrix.shape[0] == 1 else self._many(handle, matrix)
        finally:
            with self._lock:
                self._running -= 1
                if self._closing:
                    self._idle.notify_all()

    def _one(self, handle: ctypes.c_void_p, row: Matrix) -> Matrix:
        try:
            call = self._idle_rows.pop()
        except IndexError:
            call = self._new_single_row(handle)
        call.row[:] = row
        code = self._single_row(*call.arguments)
        answer = call.answer.copy()
        self._idle_rows.append(call)
        if code:
            _check(self._library, code)
        return answer

    def _many(self, handle: ctypes.c_void_p, matrix: Matrix) -> Matrix:
        rows = matrix.shape[0]
        if self.quick is not None and rows >= self.quick.fewest_rows:
            return self.quick.predict(matrix)
        matrix = np.ascontiguousarray(matrix)
        result = np.empty(self._shape(rows), dtype=np.float64)
        if rows == 0:
            return result
        length = ctypes.c_int64()
        code = self._library.LGBM_BoosterPredictForMat(
            handle,
            matrix.ctypes.data,
            _FLOAT64,
            rows,
            self.num_features,
            _ROW_MAJOR,
            _PREDICT_NORMAL,
            0,
            _ALL_ITERATIONS,
            _PARAMETERS,
            ctypes.byref(length),
            result.ctypes.data,
        )
        _check(self._library, code)
        return result

    def _new_single_row(self, booster: ctypes.c_void_p) -> _SingleRow:
        handle = ctypes.c_void_p()
        code = self._library.LGBM_BoosterPredictForMatSingleRowFastInit(
            booster,
            _PREDICT_NORMAL,
            0,
            _ALL_ITERATIONS,
            _FLOAT64,
            self.num_features,
            _PARAMETERS,
            ctypes.byref(handle),
        )
        _check(self._library, code)
        return _SingleRow(handle, self.num_features, self._shape(1))

    def _shape(self, rows: int) -> tuple[int, ...]:
        return (rows,) if self.num_outputs == 1 else (rows, self.num_outputs)

    def _read_names(self) -> list[str]:
        """Asks for the longest name first: the library writes into buffers of the caller."""
        ask = self._library.LGBM_BoosterGetFeatureNames
        count, needed = ctypes.c_int(), ctypes.c_size_t()
        _check(self._library, ask(self._handle, 0, ctypes.byref(count), 0, ctypes.byref(needed), None))
        size = max(needed.value, 1)
        buffers = [ctypes.create_string_buffer(size) for _ in range(count.value)]
        pointers = (ctypes.c_void_p * count.value)(*map(ctypes.addressof, buffers))
        code = ask(self._handle, count.value, ctypes.byref(count), size, ctypes.byref(needed), pointers)
        _check(self._library, code)
        return [buffer.value.decode("utf-8", "replace") for buffer in buffers]

    def close(self) -> None:
        """Frees the model once no prediction runs; closing twice is fine. Predicting afterwards is an EngineError."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is None:
                return
            self._closing = True
            while self._running:
                self._idle.wait()
            for call in self._idle_rows:
                self._library.LGBM_FastConfigFree(call.handle)
            self._idle_rows.clear()
        self._library.LGBM_BoosterFree(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()


def _check(library: ctypes.CDLL, code: int) -> None:
    if code:
        text: bytes = library.LGBM_GetLastError()
        raise EngineError("LightGBM: " + text.decode("utf-8", "replace"))


@cache
def _library() -> ctypes.CDLL:
    """LightGBM's shared library out of the installed package, which is located but not imported."""
    spec = importlib.util.find_spec("lightgbm")
    if spec is None or not spec.submodule_search_locations:
        raise EngineError("the lightgbm package is not installed")
    for folder in spec.submodule_search_locations:
        for name in ("lib_lightgbm.so", "lib_lightgbm.dylib", "lib_lightgbm.dll"):
            for place in (Path(folder) / "lib" / name, Path(folder) / "bin" / name):
                if place.is_file():
                    return _declare(place)
    raise EngineError("the lightgbm package has no shared library")


def _declare(place: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(place))
    except OSError as error:
        raise EngineError(f"LightGBM's library cannot be loaded: {error}") from None
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    size, int32 = ctypes.c_size_t, ctypes.c_int32
    signatures: dict[str, list[Any]] = {
        "LGBM_BoosterLoadModelFromString": [text, pointer, pointer],
        "LGBM_BoosterGetNumFeature": [pointer, pointer],
        "LGBM_BoosterGetNumClasses": [pointer, pointer],
        "LGBM_BoosterGetFeatureNames": [pointer, integer, pointer, size, pointer, pointer],
        "LGBM_BoosterFree": [pointer],
        "LGBM_FastConfigFree": [pointer],
        "LGBM_BoosterPredictForMat": [
            *(pointer, pointer, integer, int32, int32, integer, integer, integer, integer, text, pointer, pointer)
        ],
        "LGBM_BoosterPredictForMatSingleRowFastInit": [
            *(pointer, integer, integer, integer, integer, int32, text, pointer)
        ],
        "LGBM_BoosterPredictForMatSingleRowFast": [pointer, pointer, pointer, pointer],
    }
    for name, arguments in signatures.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, ctypes.c_int
    library.LGBM_GetLastError.argtypes, library.LGBM_GetLastError.restype = [], ctypes.c_char_p
    return library
