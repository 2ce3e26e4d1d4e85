"""A loaded model: from checked rows to its outputs."""

from __future__ import annotations

import weakref

from capstan_engines.errors import EngineError
from capstan_engines.family import load
from capstan_engines.port import Outputs, Predictor
from capstan_formats.preprocess import PreprocessError
from capstan_formats.record_columns import Values
from capstan_inference.dataplane.bodies import Batch
from capstan_inference.dataplane.config import Placement
from capstan_inference.dataplane.cost import Cost, measure, null_batch, trial_batch
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.ids import IdSource, now_ms
from capstan_inference.dataplane.lookups import Lookups
from capstan_inference.dataplane.online import Views
from capstan_inference.dataplane.recording import Recorder, Scored
from capstan_inference.dataplane.request_errors import INVALID_DATA, UPSTREAM, RequestError, wrong
from capstan_inference.dataplane.signature import Signature
from capstan_packages.errors import PackageError
from capstan_packages.models import read_model


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
        self._views = views
        self._lookups = Lookups(placement.project, self.header.lookups, views, counters)
        self.recorder = Recorder(placement, self.header, self._preprocessor.columns)
        self._warm()
        self.cost = self._measured()

    def score(self, batch: Batch) -> Scored:
        """Check, look up, preprocess, predict. RequestError names the cell that does not fit."""
        return self._score(batch, self._lookups)

    def _score(self, batch: Batch, lookups: Lookups) -> Scored:
        rows = self.signature.read(batch)
        looked_up = lookups.find(rows.values, rows.event_times)
        try:
            columns: dict[str, Values] = {**rows.values, **rows.arrays, **rows.instants, **looked_up.columns}
            matrix = self._preprocessor.transform(columns, rows.count)
        except PreprocessError as error:
            if error.column in looked_up.columns:
                raise RequestError(UPSTREAM, f"a looked-up value does not fit the model: {error}") from None
            raise wrong(batch.place(error.column or "", error.row or 0), error.rule) from None
        return Scored(rows, looked_up, matrix, self._model.predict(matrix))

    def _warm(self) -> None:
        """A row of nulls through every step, alone and in company; opens the views as well."""
        self._lookups.open()
        names = [field.name for field in self.header.signature.inputs]
        try:
            self._model.warm()
            for count in (1, 2):
                matrix = self._preprocessor.transform({name: [None] * count for name in names}, count)
                self._check_outputs(self._model.predict(matrix), count)
        except (PreprocessError, EngineError) as error:
            raise _silent(error) from None

    def _measured(self) -> Cost:
        """All that a request takes between its JSON and the log: checks, lookups, preprocessing, model, records.

        Nulls are sent where made-up values are not taken, or the online store is away now: it will be back.
        """
        counters, ids = Counters(), IdSource()
        lookups = Lookups(self.placement.project, self.header.lookups, self._views, counters)

        def run(batch: Batch) -> None:
            self.recorder.records(self._score(batch, lookups), ids.new(now_ms(), batch.rows))

        try:
            try:
                cost = measure(lambda rows: run(trial_batch(self.header, rows)))
                if not counters.lookup_errors:
                    return cost
            except RequestError:
                pass
            return measure(lambda rows: run(null_batch(self.header, rows)))
        except EngineError as error:
            raise _silent(error) from None

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


def _silent(error: Exception) -> RequestError:
    return RequestError(INVALID_DATA, f"the model does not answer when it is tried: {error}")
