"""A loaded model: from checked rows to its outputs."""

from __future__ import annotations

import time
import weakref
from typing import Final

import numpy as np

from capstan_engines.errors import EngineError
from capstan_engines.family import load
from capstan_engines.port import Outputs, Predictor
from capstan_formats.preprocess import PreprocessError
from capstan_formats.record_columns import Values
from capstan_inference.dataplane.bodies import Batch
from capstan_inference.dataplane.config import Placement
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.lookups import Lookups
from capstan_inference.dataplane.online import Views
from capstan_inference.dataplane.recording import Recorder, Scored
from capstan_inference.dataplane.request_errors import INVALID_DATA, UPSTREAM, RequestError, wrong
from capstan_inference.dataplane.signature import Signature
from capstan_packages.errors import PackageError
from capstan_packages.models import read_model

#: Rows that are scored at the load to learn what one costs.
_TRIAL_ROWS: Final = 64
_SLOW_ROW_S: Final = 0.01


class Served:
    """One deployment's champion in memory. `score` may run in any thread."""

    def __init__(self, placement: Placement, views: Views, counters: Counters) -> None:
        """Loads and warms. RequestError where the package cannot be read, loaded or run."""
        self.placement = placement
        try:
            package = read_model(placement.path)
            if package.digest != placement.package:
                raise RequestError(INVALID_DATA, f"the object is not package {placement.package[:12]}")
            self.header = package.header
            self._model: Predictor = load(package)
        except (PackageError, EngineError, OSError) as error:
            raise RequestError(INVALID_DATA, f"package {placement.package[:12]} cannot be loaded: {error}") from None
        # A swap drops this object while requests may still run on it; the last one to let go of it frees the model.
        weakref.finalize(self, self._model.close).atexit = False
        self.signature = Signature(self.header, placement.event_time_column)
        self.outputs = tuple(output.name for output in self.header.signature.outputs)
        self._preprocessor = self.header.preprocessor()
        self._lookups = Lookups(placement.project, self.header.lookups, views, counters)
        self.recorder = Recorder(placement, self.header, self._preprocessor.columns)
        #: What the model takes for one row of many, in seconds; lookups and JSON come on top.
        self.row_s = self._warm()

    def score(self, batch: Batch) -> Scored:
        """Check, look up, preprocess, predict. RequestError names the cell that does not fit."""
        rows = self.signature.read(batch)
        looked_up = self._lookups.find(rows.values, rows.event_times)
        try:
            columns: dict[str, Values] = {**rows.values, **rows.arrays, **rows.instants, **looked_up.columns}
            matrix = self._preprocessor.transform(columns, rows.count)
        except PreprocessError as error:
            if error.column in looked_up.columns:
                raise RequestError(UPSTREAM, f"a looked-up value does not fit the model: {error}") from None
            raise wrong(batch.place(error.column or "", error.row or 0), error.rule) from None
        return Scored(rows, looked_up, matrix, self._model.predict(matrix))

    def _warm(self) -> float:
        """A row of nulls through every step, alone and in company; opens the views as well. Seconds per row of many."""
        self._lookups.open()
        names = [field.name for field in self.header.signature.inputs]
        try:
            self._model.warm()
            for count in (1, 2):
                matrix = self._preprocessor.transform({name: [None] * count for name in names}, count)
                self._check_outputs(self._model.predict(matrix), count)
            return self._seconds_per_row()
        except (PreprocessError, EngineError) as error:
            raise RequestError(INVALID_DATA, f"the model does not answer when it is tried: {error}") from None

    def _seconds_per_row(self) -> float:
        """Rows that differ, as real ones do: on equal ones branch prediction flatters a tree model. EngineError.

        Many only where few are quick, so that a slow model is not asked for seconds at its load.
        """
        columns, seconds = len(self._preprocessor.columns), 0.0
        for rows in (2, _TRIAL_ROWS):
            matrix = np.sin(np.arange(rows * columns, dtype=np.float64)).reshape(rows, columns)
            took = []
            for _ in range(3):
                started = time.perf_counter()
                self._model.predict(matrix)
                took.append(time.perf_counter() - started)
            seconds = min(took) / rows
            if seconds > _SLOW_ROW_S:
                break
        return seconds

    def _check_outputs(self, outputs: Outputs, rows: int) -> None:
        """An engine is somebody's code: what it answers is compared with the signature before anybody relies on it."""
        for field in self.header.signature.outputs:
            wanted = (rows,) if field.width == 1 else (rows, field.width)
            values = outputs.get(field.name)
            if values is None or values.shape != wanted or str(values.dtype) != field.dtype:
                shown = "nothing" if values is None else f"{values.dtype} {values.shape}"
                detail = (
                    f"the model answers {shown} as {field.name!r} to {rows} rows; {field.dtype} {wanted} is promised"
                )
                raise RequestError(INVALID_DATA, detail)
