"""From the log's form of a prediction to the one on the wire."""

from __future__ import annotations

from dataclasses import dataclass

from capstan_contracts.ids import uuid7_millis
from capstan_contracts.rest.inference import PredictionRecord
from capstan_formats.epoch import datetime_of
from capstan_formats.records import PredictionRecord as LogRecord


@dataclass(frozen=True)
class Logged:
    """A prediction where it was found: its request's record, which row it is, the segment's digest or file name."""

    record: LogRecord
    row: int
    segment: str


def id_millis(prediction: str) -> int:
    """The Unix milliseconds inside a prediction id: they tell in which segments it can be."""
    return uuid7_millis(prediction)


def on_the_wire(logged: Logged, run: str | None) -> PredictionRecord:
    """What `GET /predictions/{id}` answers; the entity has key columns by name, and each view's own keys by view."""
    schema, row = logged.record.schema, logged.record.row(logged.row)
    return PredictionRecord(
        prediction_id=row["prediction_id"],
        deployment=schema.deployment,
        model_version=schema.version,
        package=schema.package,
        run=run,
        event_time=datetime_of(row["event_time"]),
        answered_at=datetime_of(logged.record.head.answered_at),
        entity={**row["entity"], **row["lookup_keys"]},
        inputs=row["inputs"],
        features=row["looked_up"],
        feature_times={view: None if at is None else datetime_of(at) for view, at in row["feature_times"].items()},
        feature_status=row["feature_status"],
        view_versions=dict(schema.view_versions),
        outputs=row["outputs"],
        segment=logged.segment,
    )
