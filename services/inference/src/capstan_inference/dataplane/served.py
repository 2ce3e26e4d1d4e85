"""A loaded model: from checked rows to predictions and the lines of the log that tell how they came about."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any, Final

import orjson

from capstan_engines.errors import EngineError
from capstan_engines.family import load
from capstan_engines.port import Outputs, Predictor
from capstan_formats.preprocess import PreprocessError
from capstan_inference.dataplane.bodies import Batch
from capstan_inference.dataplane.config import Placement
from capstan_inference.dataplane.counters import Counters
from capstan_inference.dataplane.ids import IdSource, now_ms
from capstan_inference.dataplane.lookups import Found, Lookups
from capstan_inference.dataplane.online import Views
from capstan_inference.dataplane.request_errors import INVALID_DATA, UPSTREAM, RequestError, wrong
from capstan_inference.dataplane.signature import Rows, Signature
from capstan_packages.errors import PackageError
from capstan_packages.models import read_model
from capstan_packages.signature import PREDICTION

#: Rows per log record: a large request becomes several records, so that none outgrows what a segment takes.
ROWS_PER_RECORD: Final = 256


@dataclass(slots=True)
class Scored:
    """What the model answers to one request, before the answers have ids.

    `outputs`: by name an array [rows], or [rows, width]. `predictions`: the output `prediction` as plain numbers.
    """

    rows: Rows
    found: Found
    matrix: list[list[float]]
    outputs: Outputs
    predictions: list[float] | list[int]


class Served:
    """One deployment's champion in memory. `score` may run in any thread, `records` on the event loop only."""

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
        self.output = PREDICTION
        self._preprocessor = self.header.preprocessor()
        self._lookups = Lookups(placement.project, self.header.lookups, views, counters)
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
        outputs = self._model.predict(matrix)
        return Scored(rows, found, matrix.tolist(), outputs, outputs[PREDICTION].tolist())

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
            "model": self.header.name,
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
        names = [field.name for field in self.header.signature.inputs]
        try:
            self._model.warm()
            for count in (1, 2):
                matrix = self._preprocessor.transform({name: [None] * count for name in names}, count)
                self._check_outputs(self._model.predict(matrix), count)
        except (PreprocessError, EngineError) as error:
            raise RequestError(INVALID_DATA, f"the model does not answer a row of nulls: {error}") from None

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
