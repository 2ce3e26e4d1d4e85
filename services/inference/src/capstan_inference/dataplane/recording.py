"""What the log keeps of a request: one columnar record that tells how its predictions came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from capstan_formats.id_range import IdRange
from capstan_formats.record_columns import Values
from capstan_formats.record_schema import FEATURES, ColumnPath, RecordSchema
from capstan_formats.records import encode_record
from capstan_inference.dataplane.config import Placement
from capstan_inference.dataplane.lookups import LookedUp
from capstan_inference.dataplane.signature import Rows
from capstan_packages.kinds.model import ModelHeader

#: Cells of the model matrix per record: wider models become several records, so that none outgrows a segment's frame.
CELLS_PER_RECORD: Final = 1 << 21

Names = tuple[str, ...]
Records = list[tuple[bytes, tuple[int, int]]]
#: Outputs by name, one value per row: float64 or int64 [rows], words [rows], or float64 [rows, classes].
Outputs = Mapping[str, npt.NDArray[Any]]


@dataclass(slots=True)
class Scored:
    """Outputs of one request before its rows have ids; `matrix` is what the model saw, float64 [rows, columns]."""

    rows: Rows
    looked_up: LookedUp
    matrix: npt.NDArray[np.float64]
    outputs: Outputs


class Recorder:
    """Makes the log records of one served model."""

    def __init__(self, placement: Placement, header: ModelHeader, features: Sequence[str]) -> None:
        self._placement, self._model = placement, header.name
        self._views = tuple(dict.fromkeys(lookup.view for lookup in header.lookups))
        keys = [source.column for lookup in header.lookups for source in lookup.keys.values()]
        self._entity = tuple(dict.fromkeys((*keys, *placement.entity_columns)))
        self._features = tuple(features) if placement.log_features else ()
        self._rows = max(1, CELLS_PER_RECORD // max(len(features), 1))
        #: A caller chooses the names of columns that the model does not read, so not all schemas are kept.
        self._schema = lru_cache(maxsize=64)(self._new_schema)

    def records(self, scored: Scored, ids: IdRange) -> Records:
        """(payload, first and last event time) of each record; one, unless the model is very wide."""
        looked_up = scored.looked_up
        lookups = tuple((view, *keys) for view, keys in looked_up.keys.items())
        schema = self._schema(
            tuple(scored.rows.sent),
            tuple(looked_up.columns),
            lookups,
            tuple(looked_up.versions.items()),
            tuple(scored.outputs),
        )
        values, times, rows = self._values(scored), scored.rows.event_times, scored.rows.count
        answered_at = ids.millis * 1000
        if rows <= self._rows:
            payload = encode_record(schema, ids, answered_at, times, values)
            return [(payload, (min(times), max(times)))]
        records = []
        for start in range(0, rows, self._rows):
            end = min(start + self._rows, rows)
            part = [column[start:end] for column in values]
            payload = encode_record(schema, ids.part(start, end), answered_at, times[start:end], part)
            records.append((payload, (min(times[start:end]), max(times[start:end]))))
        return records

    def _values(self, scored: Scored) -> list[Values]:
        """Columns in the order of `_new_schema`."""
        sent, arrays, looked_up = scored.rows.sent, scored.rows.arrays, scored.looked_up
        values: list[Values] = (
            [arrays.get(name, column) for name, column in sent.items()] if arrays else [*sent.values()]
        )
        if self._features:
            values.append(scored.matrix)
            values += looked_up.columns.values()
        values += looked_up.times.values()
        values += looked_up.status.values()
        for keys in looked_up.keys.values():
            values += keys.values()
        values += scored.outputs.values()
        return values

    def _new_schema(
        self, sent: Names, looked_up: Names, lookups: tuple[Names, ...], versions: tuple[tuple[str, str], ...],
        outputs: Names,
    ) -> RecordSchema:  # fmt: skip
        columns: list[ColumnPath] = [("inputs", name) for name in sent]
        if self._features:
            columns.append((FEATURES,))
            columns += [("looked_up", name) for name in looked_up]
        columns += [("feature_times", view) for view in self._views]
        columns += [("feature_status", view) for view in self._views]
        columns += [("lookup_keys", view, key) for view, *keys in lookups for key in keys]
        columns += [("outputs", name) for name in outputs]
        placement = self._placement
        return RecordSchema(
            model=self._model,
            version=placement.version,
            package=placement.package,
            deployment=placement.deployment,
            revision=placement.revision,
            columns=tuple(columns),
            features=self._features,
            entity=self._entity,
            view_versions=dict(versions),
        )
