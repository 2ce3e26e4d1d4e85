"""Which columns of a baseline are looked up, and which rows of the log were read from the same row of a view.

Rows that share a looked-up value are not independent: a month of a route's history is one value, however many flights
ask for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from capstan_formats.record_schema import ColumnPath
from capstan_formats.records import PredictionRecord
from capstan_formats.sketches import ClusterSketch
from capstan_monitoring.domain.columns import find
from capstan_monitoring.jobs.baselines import baseline_of
from capstan_packages.kinds.model import ModelHeader
from capstan_packages.reader import read_package

CLUSTERS = "clusters"
"""Member of a window's partial sketches: cluster sketches by view."""

Views = Mapping[str, str]
"""Column of the baseline -> the view that it is looked up in."""


@lru_cache(maxsize=4)
def views_of(path: str) -> Views:
    """Of the package at `path`. JobRefused names the broken rule, as `baseline_of` does."""
    baseline, header = baseline_of(path), read_package(Path(path)).header
    found: dict[str, str] = {}
    for lookup in header.lookups if isinstance(header, ModelHeader) else ():
        found |= {name: lookup.view for name in baseline if find(name, lookup.columns) is not None}
    return found


def count_clusters(
    clusters: dict[str, ClusterSketch], views: Views, record: PredictionRecord, rows: npt.NDArray[np.intp]
) -> None:
    """Count these rows by the row of each view that they were read from: its keys and its event time.

    A record that does not say by which keys it asked is not counted.
    """
    for view in sorted(set(views.values())):
        if (places := _places(record, view)) is None:
            continue
        cells = [record.columns[place].tolist() for place in places]
        names: Counter[Hashable] = Counter(tuple(column[row] for column in cells) for row in rows.tolist())
        clusters.setdefault(view, ClusterSketch()).update(names)


def _places(record: PredictionRecord, view: str) -> list[ColumnPath] | None:
    keys = sorted(path for path in record.columns if path[:2] == ("lookup_keys", view))
    time = ("feature_times", view)
    return [*keys, time] if keys and time in record.columns else None
