"""Rules that several tasks share. Each raises InvalidSample with a sentence that names the rule and the first row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capstan_evaluation.arrays import AnyArray, Floats
from capstan_evaluation.errors import InvalidSample

Mask = npt.NDArray[np.bool_]


def numbers(values: npt.ArrayLike, what: str, *, dimensions: int = 1) -> Floats:
    """The values as float64, [items] or [items, classes]; booleans count as 0 and 1."""
    try:
        given: AnyArray = np.asarray(values)
    except ValueError as error:
        raise InvalidSample(f"{what} are not an array with lines of one length") from error
    if given.size and given.dtype.kind not in "biuf":
        raise InvalidSample(f"{what} are not numbers but of type {given.dtype}, as the first: {given.ravel()[0]!r}")
    if given.ndim != dimensions:
        raise InvalidSample(f"{what} have the shape {given.shape}; {dimensions} dimension(s) are needed")
    return given.astype(np.float64)


def same_length(labels: int, others: int, what: str) -> None:
    """As many of `what` as labels."""
    if labels != others:
        raise InvalidSample(f"there are {labels} labels but {others} {what}")


def hold(right: Mask, values: AnyArray, rule: str) -> None:
    """Every value is right; `rule` is the end of the sentence: `the labels are 0 or 1`."""
    if right.all():
        return
    first = int(np.flatnonzero(~right)[0])
    wrong = int((~right).sum())
    raise InvalidSample(f"{rule}; {wrong} of {len(right)} are not, the first is {values[first]} in row {first}")


def finite(values: Floats, what: str) -> None:
    """Neither NaN nor an infinity."""
    hold(np.isfinite(values), values, f"{what} are finite numbers")


def probabilities(values: Floats, what: str) -> None:
    """Within [0, 1]; NaN is not."""
    right = (values >= 0) & (values <= 1)
    if values.ndim == 2:
        right = right.all(axis=1)
    hold(right, values, f"{what} lie between 0 and 1")
