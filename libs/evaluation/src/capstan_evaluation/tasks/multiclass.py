"""Classification into one of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from capstan_evaluation.arrays import Floats
from capstan_evaluation.errors import InvalidSample
from capstan_evaluation.sample import Need, Sample
from capstan_evaluation.tasks import checks

TOLERANCE: Final = 1e-5
"""How far from 1 the probabilities of an item may add up to; float32 models are about 1e-7 off."""


def sample(labels: Sequence[object], probabilities: npt.ArrayLike, classes: Sequence[str]) -> Sample:
    """Labels are names of classes (compared as text), probabilities [items, classes] in their order. InvalidSample."""
    names = tuple(str(name) for name in classes)
    if len(names) < 2 or len(set(names)) != len(names):
        raise InvalidSample(f"there are two or more classes of different names, not {list(names)}")
    said = checks.numbers(probabilities, "the probabilities", dimensions=2)
    if said.shape[1] != len(names):
        raise InvalidSample(f"there are {len(names)} classes but {said.shape[1]} probabilities per item")
    checks.same_length(len(labels), len(said), "lines of probabilities")
    checks.probabilities(said, "probabilities")
    total: Floats = said.sum(axis=1)
    checks.hold(np.abs(total - 1) <= TOLERANCE, total, "the probabilities of an item add up to 1")
    held = frozenset({Need.LABEL, Need.CLASS_PROBABILITIES})
    return Sample("multiclass", _codes(labels, names), said, held, classes=names)


def _codes(labels: Sequence[object], names: tuple[str, ...]) -> Floats:
    numbers = {name: number for number, name in enumerate(names)}
    codes = np.array([numbers.get(str(label), -1) for label in labels], dtype=np.float64)
    known = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    texts = np.array([repr(str(label)) for label in labels], dtype=np.object_)
    checks.hold(codes >= 0, texts, f"the labels are of the {len(names)} classes {known}")
    return codes
