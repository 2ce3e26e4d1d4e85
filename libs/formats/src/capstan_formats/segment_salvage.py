"""What is whole in a damaged segment of the prediction log: each frame has a checksum of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from capstan_formats.id_range import id_number
from capstan_formats.record_columns import RecordError
from capstan_formats.records import PredictionRecord, decode_record
from capstan_formats.segment_frames import FrameReader, SegmentError


@dataclass(frozen=True)
class Salvage:
    """Whole records and their rows, what stands in the way of the rest, and a prediction if it is among the whole."""

    records: int
    rows: int
    faults: tuple[SegmentError, ...]
    found: tuple[PredictionRecord, int] | None


def salvage(path: Path, prediction_id: str) -> Salvage:
    """Read on behind damaged payloads, and up to a damaged head of a frame: where the next begins, it alone says.

    Whether all records are there the footer says no longer. IdRangeError for no UUIDv7.
    """
    number, faults, records, rows = id_number(prediction_id), list[SegmentError](), 0, 0
    found: tuple[PredictionRecord, int] | None = None
    with path.open("rb") as file:
        reader = FrameReader(path, file, faults)
        try:
            for offset, _, payload in reader:
                try:
                    record = decode_record(payload)
                except RecordError as error:
                    faults.append(SegmentError(path, str(error), offset))
                    continue
                records, rows = records + 1, rows + record.rows
                row = record.head.ids.row_of(number)
                found = found if row is None else (record, row)
        except SegmentError as error:
            faults.append(error)
    return Salvage(records, rows, tuple(faults), found)
