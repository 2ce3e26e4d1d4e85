"""Which rows of the log were read from the same row of a view.

Rows that share a looked-up value are not independent: a month of a route's history is one value, however many flights
ask for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from capstan_formats.record_columns import Column
from capstan_formats.record_schema import ColumnPath
from capstan_formats.records import PredictionRecord
from capstan_formats.sketches import ClusterSketch

CLUSTERS: Final = "clusters"
"""Member of a window's partial sketches: cluster sketches by view."""


class ViewClusters:
    """How often each row of each view was read, by the rows of one window; where keys lie is found once per schema."""

    def __init__(self, views: Iterable[str]) -> None:
        self._views = sorted(set(views))
        self._places: dict[tuple[ColumnPath, ...], dict[str, list[ColumnPath]]] = {}
        self._sketches: dict[str, ClusterSketch] = {}

    def add(self, record: PredictionRecord, rows: npt.NDArray[np.intp]) -> None:
        """Count these rows by the row of each view that they were read from: its keys and its event time.

        A record that does not say by which keys it asked is not counted.
        """
        for view, places in self._of(record).items():
            cells = [_cells(record, place, rows) for place in places]
            names: Counter[Hashable] = Counter(zip(*cells, strict=True))
            self._sketches.setdefault(view, ClusterSketch()).update(names)

    def to_json(self) -> dict[str, object]:
        """The sketches by view."""
        return {view: sketch.to_json() for view, sketch in self._sketches.items()}

    def _of(self, record: PredictionRecord) -> dict[str, list[ColumnPath]]:
        columns = record.schema.columns
        if (places_by_view := self._places.get(columns)) is None:
            places_by_view = {view: places for view in self._views if (places := _places(columns, view)) is not None}
            self._places[columns] = places_by_view
        return places_by_view


def _cells(record: PredictionRecord, place: ColumnPath, rows: npt.NDArray[np.intp]) -> list[object]:
    column = record.columns[place]
    if len(rows) == record.rows:
        return column.tolist()
    if isinstance(column.values, list):
        return [column.values[row] for row in rows.tolist()]
    return Column(column.values[rows], None if column.nulls is None else column.nulls[rows]).tolist()


def _places(columns: tuple[ColumnPath, ...], view: str) -> list[ColumnPath] | None:
    keys = sorted(path for path in columns if path[:2] == ("lookup_keys", view))
    time = ("feature_times", view)
    return [*keys, time] if keys and time in columns else None
