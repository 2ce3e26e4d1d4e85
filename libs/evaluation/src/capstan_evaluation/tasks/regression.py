"""Regression: a number per item."""

from __future__ import annotations

import numpy.typing as npt

from capstan_evaluation.errors import InvalidSample
from capstan_evaluation.sample import Need, Sample
from capstan_evaluation.tasks import checks


def sample(labels: npt.ArrayLike, predictions: npt.ArrayLike, *, quantile: float | None = None) -> Sample:
    """True and predicted values in the label's unit, finite. InvalidSample.

    `quantile` (between 0 and 1) says which one the predictions are of, where they are no means.
    """
    truth, said = checks.numbers(labels, "the labels"), checks.numbers(predictions, "the predictions")
    checks.same_length(len(truth), len(said), "predictions")
    checks.finite(truth, "the labels")
    checks.finite(said, "the predictions")
    has = {Need.LABEL, Need.PREDICTION}
    if quantile is not None:
        if not 0 < quantile < 1:
            raise InvalidSample(f"a quantile lies between 0 and 1, and {quantile} does not")
        has.add(Need.QUANTILE)
    return Sample("regression", truth, said, frozenset(has), quantile=quantile)
