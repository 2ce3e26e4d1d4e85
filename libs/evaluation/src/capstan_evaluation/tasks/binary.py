"""Binary classification: is it the class 1?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from capstan_evaluation.sample import Need, Sample
from capstan_evaluation.tasks import checks


def sample(labels: npt.ArrayLike, scores: npt.ArrayLike, *, probabilities: bool = True) -> Sample:
    """Labels 0 or 1 (or booleans) and a score per item, higher for class 1. InvalidSample.

    With `probabilities` the scores are probabilities of class 1 and have to lie in [0, 1]; without, they only rank.
    """
    truth, said = checks.numbers(labels, "the labels"), checks.numbers(scores, "the scores")
    checks.same_length(len(truth), len(said), "scores")
    checks.hold(np.isin(truth, (0.0, 1.0)), truth, "the labels are 0 or 1")
    has = {Need.LABEL, Need.SCORE}
    if probabilities:
        checks.probabilities(said, "probabilities")
        has.add(Need.PROBABILITY)
    else:
        checks.finite(said, "the scores")
    return Sample("binary", truth, said, frozenset(has))
