"""A loaded model: from checked rows to predictions and the lines of the log that tell how they came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from capstan_formats.lightgbm_engine import Booster, EngineError
from capstan_formats.package import ModelPackage, PackageError, read_package
from capstan_formats.preprocess import PreprocessError
from capstan_inference.dataplane.bodies import Batch
from capstan_inference.dataplane.config import Placement
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.ids import IdSource, now_ms
from capstan_inference.dataplane.lookups import Found, Lookups
from capstan_inference.dataplane.online import Views
from capstan_inference.dataplane.request_errors import INVALID_DATA, UPSTREAM, RequestError, wrong
from capstan_inference.dataplane.signature import Rows, Signature

#: Rows per log record: a large request becomes several records, so that none outgrows what a segment takes.
ROWS_PER_RECORD: Final = 256


@dataclass(slots=True)
class Scored:
    """Predictions of one request before they have ids."""

    rows: Rows
    found: Found
    matrix: list[list[float]]
    predictions: list[float]


class Served:
    """One deployment's champion in memory. `score` may run in any thread, `records` on the event loop only."""

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
        self.output = self.manifest.outputs[0].name
        self._preprocessor = self.manifest.preprocessor()
        self._lookups = Lookups(placement.project, self.manifest.lookups, views, counters)
        self._entity = tuple(dict.fromkeys((*self._lookups.key_columns, *placement.entity_columns)))
        self._warm()

    def score(self, batch: Batch) -> Scored:
        """Check, look up, preprocess, predict. RequestError names the cell that does not fit."""
        rows = self.signature.read(batch)
        found = self._lookups.find(rows.values, rows.event_times)
        try:
            columns = {**rows.values, **found.columns} if found.columns else rows.values
            matrix = self._preprocessor.transform(columns, rows.count)
        except PreprocessError as error:
            if error.column in found.columns:
                raise RequestError(UPSTREAM, f"a looked-up value does not fit the model: {error}") from None
            raise wrong(batch.place(error.column or "", error.row or 0), error.rule) from None
        return Scored(rows, found, matrix.tolist(), self._booster.predict(matrix).tolist())

    def records(self, scored: Scored, ids: IdSource) -> tuple[list[str], list[tuple[bytes, tuple[int, int]]]]:
        """Prediction ids, and the log records (payload, first and last event time) that hold them."""
        millis = now_ms()
        prediction_ids = [ids.new(millis) for _ in range(scored.rows.count)]
        records = []
        times = scored.rows.event_times
        for start in range(0, scored.rows.count, ROWS_PER_RECORD):
            end = min(start + ROWS_PER_RECORD, scored.rows.count)
            lines = [self._row(scored, prediction_ids[row], row) for row in range(start, end)]
            # A record is known by its first prediction: both are unique, and one id is enough.
            record = self._record(prediction_ids[start], millis * 1000, lines, scored.found.versions)
            payload = orjson.dumps(record)
            records.append((payload, (min(times[start:end]), max(times[start:end]))))
        return prediction_ids, records

    def _record(self, request: str, ts: int, rows: list[dict[str, Any]], views: dict[str, str]) -> dict[str, Any]:
        placement = self.placement
        return {
            "id": request,
            "ts": ts,
            "model": self.manifest.name,
            "version": placement.version,
            "package": placement.package,
            "deployment": placement.deployment,
            "revision": placement.revision,
            "rows": rows,
            "ext": {"view_versions": views},
        }

    def _row(self, scored: Scored, prediction_id: str, row: int) -> dict[str, Any]:
        sent, found, instances = scored.rows.sent, scored.found, scored.rows.instances
        line = {
            "prediction_id": prediction_id,
            "event_time": scored.rows.event_times[row],
            "entity": {name: sent[name][row] for name in self._entity if name in sent},
            "inputs": instances[row] if instances else {name: column[row] for name, column in sent.items()},
            "features": {},
            "feature_times": {view: times[row] for view, times in found.times.items()},
            "feature_status": {view: status[row] for view, status in found.status.items()},
            "lookup_keys": {view: keys[row] for view, keys in found.keys.items()},
            "prediction": scored.predictions[row],
        }
        if self.placement.log_features:
            # orjson writes NaN, where the model saw no value, as null.
            line["features"] = dict(zip(self._preprocessor.columns, scored.matrix[row], strict=True))
            line["looked_up"] = {name: column[row] for name, column in found.columns.items()}
        return line

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
