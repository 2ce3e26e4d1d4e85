"""A loaded model: from checked rows to its outputs."""

from __future__ import annotations

from capstan_formats.lightgbm_engine import Booster, EngineError
from capstan_formats.package import ModelPackage, PackageError, read_package
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


class Served:
    """One deployment's champion in memory. `score` may run in any thread."""

    def __init__(self, placement: Placement, views: Views, counters: Counters) -> None:
        """Loads and warms. RequestError where the package cannot be read, loaded or run."""
        self.placement = placement
        try:
            package: ModelPackage = read_package(placement.path)
            if package.digest != placement.package:
                raise RequestError(INVALID_DATA, f"the object is not package {placement.package[:12]}")
            self.manifest = package.manifest
            self._booster = Booster(package.booster_bytes, checked=True)
        except (PackageError, EngineError, OSError) as error:
            raise RequestError(INVALID_DATA, f"package {placement.package[:12]} cannot be loaded: {error}") from None
        self.signature = Signature(self.manifest, placement.event_time_column)
        self.outputs = tuple(output.name for output in self.manifest.outputs)
        self._preprocessor = self.manifest.preprocessor()
        self._lookups = Lookups(placement.project, self.manifest.lookups, views, counters)
        self.recorder = Recorder(placement, self.manifest, self._preprocessor.columns)
        self._warm()

    def score(self, batch: Batch) -> Scored:
        """Check, look up, preprocess, predict. RequestError names the cell that does not fit."""
        rows = self.signature.read(batch)
        found = self._lookups.find(rows.values, rows.event_times)
        try:
            columns: dict[str, Values] = {**rows.values, **rows.arrays, **rows.instants, **found.columns}
            matrix = self._preprocessor.transform(columns, rows.count)
        except PreprocessError as error:
            if error.column in found.columns:
                raise RequestError(UPSTREAM, f"a looked-up value does not fit the model: {error}") from None
            raise wrong(batch.place(error.column or "", error.row or 0), error.rule) from None
        return Scored(rows, found, matrix, {"prediction": self._booster.predict(matrix)})

    def _warm(self) -> None:
        """A row of nulls through every step, alone and in company; opens the views as well."""
        self._lookups.open()
        names = [field.name for field in self.manifest.inputs]
        for count in (1, 2):
            try:
                matrix = self._preprocessor.transform({name: [None] * count for name in names}, count)
                answer = self._booster.predict(matrix)
            except (PreprocessError, EngineError) as error:
                raise RequestError(INVALID_DATA, f"the model does not answer a row of nulls: {error}") from None
            if answer.shape != (count,):
                raise RequestError(INVALID_DATA, f"the model answers {answer.shape} to {count} rows")
