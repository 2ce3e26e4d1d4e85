"""The drift report that people read, rendered by Evidently: a window against the training set of its version."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from capstan_contracts.kinds.statistics import Sort
from capstan_contracts.loop import DriftSpec
from capstan_formats.segments import PredictionRecord, read_segment
from capstan_formats.sketches import NumericSketch
from capstan_monitoring.domain.columns import find
from capstan_monitoring.domain.jobs import RenderedReport, ReportToRender
from capstan_monitoring.jobs.baselines import ColumnReader, number, watched_of
from capstan_monitoring.jobs.report_columns import section, why_not
from capstan_monitoring.statistics.installed import STATISTICS
from capstan_servicekit.jobs.api import Job, JobRefused, need

Columns = dict[str, list[object]]
WARM = ("pandas", "evidently", "evidently.metrics", "evidently.presets", "pyarrow.parquet")
"""What every report needs."""


def run(job: Job) -> RenderedReport:
    """A column that Evidently cannot draw is shown with the reason, and never costs the others their place."""
    need(*WARM)
    given = job.read(ReportToRender)
    baseline = watched_of(given.package).baseline
    drift = DriftSpec.model_validate(given.drift)
    names = [name for name in baseline if name not in drift.ignore]
    window = _window(given, ColumnReader(baseline), names)
    trained = _training_set(Path(given.training_set), names, given.rows)
    numeric = {name for name in names if isinstance(baseline[name], NumericSketch)}
    reasons: dict[str, str] = {}
    for name in names:
        if (reason := why_not(window.get(name), trained.get(name), numeric=name in numeric)) is not None:
            reasons[name] = reason
    shown = [name for name in names if name not in reasons]
    job.progress(1, 2, "rendering")
    page = job.scratch / "report.html"
    render = partial(_render, page, drift, numeric, window, trained)
    try:
        render(shown)
    except Exception:  # noqa: BLE001 - foreign code on foreign data, none of whose exceptions is documented
        # Something that `why_not` does not know: each alone, for the reason in Evidently's words.
        reasons |= _alone(render, shown)
        shown = [name for name in shown if name not in reasons]
        render(shown)
    if reasons:
        whole = page.read_text("utf-8")
        head, body, rest = whole.partition("<body>")
        page.write_text(head + body + section(reasons, window, trained) + rest, "utf-8")
    kinds = {spec.kind for spec in (drift.statistic.numeric, drift.statistic.categorical)}
    absent = sorted(kind for kind in kinds if STATISTICS.get(kind).in_report(1.0) is None)
    return RenderedReport(shown=shown, left_out=reasons, shown_as_psi=absent)


def _alone(render: Callable[[list[str]], None], names: list[str]) -> dict[str, str]:
    reasons = {}
    for name in names:
        try:
            render([name])
        except Exception as error:  # noqa: BLE001 - as above
            reasons[name] = f"Evidently says: {error}"[:300]
    return reasons


def _render(
    page: Path, drift: DriftSpec, numeric: set[str], window: Columns, trained: Columns, names: list[str]
) -> None:
    """Evidently's page of these columns; whatever it raises where it cannot draw one of them."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift
    from evidently.presets import DataDriftPreset

    if not names:
        page.write_text("<!DOCTYPE html><html><body></body></html>", "utf-8")
        return
    words = [name for name in names if name not in numeric]
    measured = [name for name in names if name in numeric]
    definition = DataDefinition(numerical_columns=measured, categorical_columns=words)

    def frame(columns: Columns) -> Any:
        made = {name: pd.Series([number(value) for value in columns[name]], dtype="float64") for name in measured}
        made |= {name: pd.Series([_word(value) for value in columns[name]], dtype="object") for name in words}
        return Dataset.from_pandas(pd.DataFrame(made), data_definition=definition)

    judged = [name for name in names if name not in drift.seasonal]
    numbers, others = _method(drift, "numeric"), _method(drift, "categorical")
    methods: dict[str, Any] = {
        "num_method": numbers[0], "num_threshold": numbers[1], "cat_method": others[0], "cat_threshold": others[1]
    }  # fmt: skip
    # One column is enough for an alarm, so one is enough for the page; seasonal ones are shown apart.
    parts: list[Any] = [DataDriftPreset(columns=judged, drift_share=1 / len(judged), **methods)] if judged else []
    for name in names:
        if name not in judged:
            method, threshold = numbers if name in numeric else others
            parts.append(ValueDrift(column=name, method=method, threshold=threshold))
    snapshot = Report(parts, include_tests=True).run(current_data=frame(window), reference_data=frame(trained))
    snapshot.save_html(str(page))


def _method(drift: DriftSpec, sort: Sort) -> tuple[str, float]:
    """Evidently's method and threshold for a sort of columns; PSI with its own floor where it has none like ours."""
    kind, floor = STATISTICS.get(drift.statistic.of(sort).kind), drift.floor_of(sort)
    return kind.in_report(kind.floor if floor is None else floor) or ("psi", STATISTICS.get("psi").floor)


def _rows(given: ReportToRender) -> Iterator[tuple[bytes, PredictionRecord, int]]:
    """Rows of the window: a hash of the id, which record, which of its rows."""
    for segment in given.segments:
        for record in read_segment(Path(segment)):
            if record.schema.version != given.version:
                continue
            times, ids = record.head.event_times, record.head.ids
            for row in np.flatnonzero((times >= given.start_us) & (times < given.end_us)).tolist():
                yield _place(ids.text(row)), record, row


def _window(given: ReportToRender, reader: ColumnReader, names: list[str]) -> Columns:
    """A sample that is the same each time: the rows whose ids have the smallest hashes."""
    rows = heapq.nsmallest(given.rows, _rows(given), key=itemgetter(0))
    columns: Columns = {}
    for name in names:
        cells = ((reader.column(record, name), row) for _, record, row in rows)
        columns[name] = [None if column is None else column.at(row) for column, row in cells]
    return columns


def _place(prediction_id: str) -> bytes:
    return hashlib.blake2b(prediction_id.encode(), digest_size=8).digest()


def _training_set(path: Path, names: list[str], rows: int) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            have = file.schema_arrow.names
            wanted = {name: column for name in names if (column := find(name, have)) is not None}
            table = file.read(columns=sorted(set(wanted.values())))
    except pa.ArrowException as error:
        raise JobRefused(f"the training set cannot be read: {error}", errors=[("training_set", "Parquet")]) from error
    if table.num_rows > rows:
        chosen = np.random.default_rng(7).choice(table.num_rows, rows, replace=False)
        table = table.take(pa.array(np.sort(chosen)))
    return {name: table.column(column).to_pylist() for name, column in wanted.items()}


def _word(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None or value != value else str(value)
