"""Scores a package on the pinned holdout. Whatever is wrong with package or holdout is a reason, not a crash."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from capstan_engines.errors import EngineError
from capstan_engines.family import check, load
from capstan_engines.port import Outputs
from capstan_evaluation.arrays import Floats
from capstan_evaluation.sample import Sample
from capstan_evaluation.tasks import binary, multiclass, regression
from capstan_formats.preprocess import PreprocessError
from capstan_packages.errors import PackageError
from capstan_packages.kinds.model import ModelHeader
from capstan_packages.models import ModelPackage, read_model
from capstan_packages.signature import BINARY, MULTICLASS, PREDICTION, PROBABILITIES, DType

ITEM_ID: Final = "item_id"
Cells = npt.NDArray[np.generic] | list[object]
"""A column as the preprocessor takes it: an array, or plain values where there are nulls or words."""


class Unusable(Exception):
    """Why something cannot be judged, as a sentence."""


@dataclass(frozen=True)
class Holdout:
    """The columns of the holdout that are needed, and its labels.

    Labels by task: 0 or 1 (binary), the number of the class (multiclass), any finite number (regression).
    """

    items: list[str | None]
    """Item ids as text: one recipe may write what another one reads as numbers."""
    task: str
    labels: Floats
    table: pa.Table

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.bool_]) -> Holdout:
        """The rows of this mask."""
        items = [item for item, wanted in zip(self.items, rows.tolist(), strict=True) if wanted]
        return Holdout(items, self.task, self.labels[rows], self.table.filter(pa.array(rows)).combine_chunks())

    def with_rows(self, other: Holdout) -> Holdout:
        """These rows and then those of another holdout, of the columns that are here. ArrowException."""
        tables = [self.table, other.table.select(self.table.column_names)]
        table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        return Holdout([*self.items, *other.items], self.task, np.concatenate([self.labels, other.labels]), table)


def open_package(path: Path | None, who: str) -> ModelPackage:
    """Read a package and have its engine check it; Unusable with place and rule. None: it is gone."""
    if path is None:
        raise Unusable(f"the package of the {who} is gone")
    try:
        package = read_model(path)
        check(package)
        return package
    except (PackageError, EngineError) as error:
        raise Unusable(f"the package of the {who} is refused: {error}") from error
    except OSError as error:
        raise Unusable(f"the package of the {who} cannot be read: {error.strerror}") from error


def open_holdout(path: Path, header: ModelHeader, wanted: Iterable[str]) -> Holdout:
    """Read the needed columns, and labels of the header's task. Unusable.

    Wanted columns that are not there are missed by whoever needs them.
    """
    label = header.label
    try:
        names = set(pq.read_schema(path).names)
        missing = [name for name in (ITEM_ID, label) if name not in names]
        if missing:
            raise Unusable(f"the holdout lacks the column {missing[0]!r}")
        columns = sorted({ITEM_ID, label, *wanted} & names)
        table = pq.read_table(path, columns=columns).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise Unusable(f"the holdout cannot be read as Parquet: {error}") from error
    table = _ids_as_text(table)
    if table.num_rows == 0:
        raise Unusable("the holdout has no rows")
    items = table.column(ITEM_ID).to_pylist()
    if len(set(items)) != len(items):
        raise Unusable(f"the column {ITEM_ID!r} of the holdout repeats an item")
    labels = _labels(table.column(label), label)
    _check_labels(labels, label, header)
    return Holdout(items, header.task, labels, table)


def _ids_as_text(table: pa.Table) -> pa.Table:
    try:
        ids = table.column(ITEM_ID).cast(pa.string()).combine_chunks()
    except pa.ArrowException as error:
        raise Unusable(f"the column {ITEM_ID!r} of the holdout cannot be read as text: {error}") from error
    return table.set_column(table.column_names.index(ITEM_ID), ITEM_ID, ids)


def _labels(column: pa.ChunkedArray, name: str) -> Floats:
    if column.null_count:
        raise Unusable(f"the label {name!r} is null in {column.null_count} rows of the holdout")
    try:
        labels = column.cast(pa.float64() if not pa.types.is_boolean(column.type) else pa.int8()).to_numpy()
    except pa.ArrowException as error:
        raise Unusable(f"the label {name!r} is not a number: {error}") from error
    return np.asarray(labels, dtype=np.float64)


def _check_labels(labels: Floats, name: str, header: ModelHeader) -> None:
    classes = header.signature.classes or 0
    if header.task == BINARY and not np.isin(labels, (0.0, 1.0)).all():
        raise Unusable(f"the label {name!r} has values other than 0 and 1")
    if header.task == MULTICLASS and not np.isin(labels, np.arange(classes)).all():
        raise Unusable(f"the label {name!r} has values other than the classes 0 to {classes - 1}")
    if not np.isfinite(labels).all():
        raise Unusable(f"the label {name!r} has values that are no finite number")


def score(package: ModelPackage, holdout: Holdout, who: str) -> Floats:
    """What metrics compare with the labels, per row; Unusable where a column is missing or an answer is none.

    binary: probability of class 1, [rows]. regression: value, [rows]. multiclass: probabilities, [rows, classes].
    """
    header = package.header
    if header.task != holdout.task:
        raise Unusable(f"the {who} is a model of the task {header.task!r}, the holdout is one of {holdout.task!r}")
    inputs = header.signature.inputs
    missing = sorted({field.name for field in inputs} - set(holdout.table.column_names))
    if missing:
        raise Unusable(f"the holdout lacks the column {missing[0]!r}, which the {who} reads")
    try:
        columns = {field.name: cells(holdout.table.column(field.name), field.dtype) for field in inputs}
        outputs = _predict(package, header.preprocessor().transform(columns, holdout.rows))
    except (PreprocessError, PackageError, EngineError, pa.ArrowException) as error:
        raise Unusable(f"the {who} cannot score the holdout: {error}") from error
    scores = np.asarray(outputs[PROBABILITIES if header.task == MULTICLASS else PREDICTION], dtype=np.float64)
    wrong, what = ~np.isfinite(scores), "no finite number"
    if header.task in (BINARY, MULTICLASS):
        wrong, what = wrong | (scores < 0) | (scores > 1), "no probability"
    if wrong.any():
        rows = int(wrong.reshape(len(scores), -1).any(axis=1).sum())
        raise Unusable(f"the {who} answers {rows} rows of the holdout with something that is {what}")
    return scores


def scored(package: ModelPackage, holdout: Holdout, who: str) -> Sample:
    """The labels of the holdout and what the package predicts for its rows. Unusable."""
    return sampled(package, holdout, score(package, holdout, who))


def sampled(package: ModelPackage, holdout: Holdout, predictions: Floats) -> Sample:
    """The labels of the holdout and these predictions for its rows, as the package's task has them.

    Classes of a multiclass model are called by their numbers.
    """
    classes = package.header.signature.classes or 0
    if holdout.task == BINARY:
        return binary.sample(holdout.labels, predictions)
    if holdout.task == MULTICLASS:
        numbers = holdout.labels.astype(np.int64).tolist()
        return multiclass.sample(numbers, predictions, [str(number) for number in range(classes)])
    return regression.sample(holdout.labels, predictions)


def _predict(package: ModelPackage, matrix: Floats) -> Outputs:
    model = load(package)
    try:
        return model.predict(matrix)
    finally:
        model.close()


def cells(column: pa.ChunkedArray, dtype: DType) -> Cells:
    """A column as the preprocessor takes it."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if dtype in ("float64", "int64") and pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    is_instant = dtype == "timestamp" and pa.types.is_timestamp(column.type)
    is_number = dtype == "float64" and pa.types.is_floating(column.type)
    values: Cells = column.to_numpy() if is_instant or is_number else column.to_pylist()
    return values


def write_items(path: Path, holdout: Holdout, scores: Mapping[str, Floats]) -> None:
    """The item-level table behind the figures: item, label, and a score per judged package (of classes: a list)."""
    label_type = {BINARY: np.int8, MULTICLASS: np.int64}.get(holdout.task, np.float64)
    columns = {ITEM_ID: holdout.table.column(ITEM_ID), "label": pa.array(holdout.labels.astype(label_type))}
    columns |= {f"score_{who}": _score_column(values) for who, values in scores.items()}
    pq.write_table(pa.table(columns), path, compression="zstd")


def _score_column(values: Floats) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
