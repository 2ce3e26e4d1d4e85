"""Scores a package on the pinned holdout. Whatever is wrong with package or holdout is a reason, not a crash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from capstan_evaluation.arrays import Floats
from capstan_evaluation.sample import Sample
from capstan_evaluation.tasks import binary
from capstan_formats.lightgbm_engine import Booster, EngineError
from capstan_formats.manifest import DType
from capstan_formats.package import ModelPackage, PackageError, read_package
from capstan_formats.preprocess import PreprocessError

ITEM_ID = "item_id"


class Unusable(Exception):
    """Why something cannot be judged, as a sentence."""


@dataclass(frozen=True)
class Holdout:
    """The columns of the holdout that are needed, and its labels (0 or 1)."""

    items: list[Any]
    labels: Floats
    table: pa.Table

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.labels)


def open_package(path: Path, who: str) -> ModelPackage:
    """Read and check a package; Unusable with place and rule."""
    try:
        return read_package(path)
    except PackageError as error:
        raise Unusable(f"the package of the {who} is refused: {error}") from error
    except OSError as error:
        raise Unusable(f"the package of the {who} cannot be read: {error.strerror}") from error


def open_holdout(path: Path, label: str, wanted: Iterable[str]) -> Holdout:
    """Read the needed columns; columns that are not there are missed by whoever needs them. Unusable."""
    try:
        names = set(pq.read_schema(path).names)
        missing = [name for name in (ITEM_ID, label) if name not in names]
        if missing:
            raise Unusable(f"the holdout lacks the column {missing[0]!r}")
        columns = sorted({ITEM_ID, label, *wanted} & names)
        table = pq.read_table(path, columns=columns).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise Unusable(f"the holdout cannot be read as Parquet: {error}") from error
    if table.num_rows == 0:
        raise Unusable("the holdout has no rows")
    items = table.column(ITEM_ID).to_pylist()
    if len(set(items)) != len(items):
        raise Unusable(f"the column {ITEM_ID!r} of the holdout repeats an item")
    return Holdout(items, _labels(table.column(label), label), table)


def _labels(column: pa.ChunkedArray, name: str) -> Floats:
    if column.null_count:
        raise Unusable(f"the label {name!r} is null in {column.null_count} rows of the holdout")
    try:
        labels = column.cast(pa.float64() if not pa.types.is_boolean(column.type) else pa.int8()).to_numpy()
    except pa.ArrowException as error:
        raise Unusable(f"the label {name!r} is not a number: {error}") from error
    found = np.asarray(labels, dtype=np.float64)
    if not np.isin(found, (0.0, 1.0)).all():
        raise Unusable(f"the label {name!r} has values other than 0 and 1")
    return found


def score(package: ModelPackage, holdout: Holdout, who: str) -> Floats:
    """The probability of each row; Unusable when a column is missing or a prediction is no probability."""
    manifest = package.manifest
    present = set(holdout.table.column_names)
    missing = sorted({field.name for field in manifest.inputs} - present)
    if missing:
        raise Unusable(f"the holdout lacks the column {missing[0]!r}, which the {who} reads")
    try:
        columns = {field.name: cells(holdout.table.column(field.name), field.dtype) for field in manifest.inputs}
        matrix = manifest.preprocessor().transform(columns, holdout.rows)
        with Booster(package.booster_bytes, checked=True) as booster:
            scores = booster.predict(matrix)
    except (PreprocessError, EngineError, pa.ArrowException) as error:
        raise Unusable(f"the {who} cannot score the holdout: {error}") from error
    wrong = ~np.isfinite(scores) | (scores < 0) | (scores > 1)
    if wrong.any():
        raise Unusable(
            f"the {who} answers {int(wrong.sum())} rows of the holdout with something that is no probability"
        )
    return scores


def scored(package: ModelPackage, holdout: Holdout, who: str) -> Sample:
    """The labels of the holdout and what the package predicts for its rows. Unusable."""
    return binary.sample(holdout.labels, score(package, holdout, who))


def cells(column: pa.ChunkedArray, dtype: DType) -> Any:
    """A column as the preprocessor takes it."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if dtype == "timestamp" and pa.types.is_timestamp(column.type):
        return column.to_numpy()
    if dtype in ("float64", "int64") and pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if dtype == "float64" and pa.types.is_floating(column.type):
        return column.to_numpy()
    return column.to_pylist()


def write_items(path: Path, holdout: Holdout, scores: Mapping[str, Floats]) -> None:
    """The item-level table behind the figures: item, label, and a score per judged package."""
    columns = {ITEM_ID: holdout.table.column(ITEM_ID), "label": pa.array(holdout.labels.astype(np.int8))}
    columns |= {f"score_{who}": pa.array(values) for who, values in scores.items()}
    pq.write_table(pa.table(columns), path, compression="zstd")
