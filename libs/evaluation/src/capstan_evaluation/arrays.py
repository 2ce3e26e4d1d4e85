"""The arrays that this library passes round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
"""Numbers of classes, groups or rows."""

Drawn = npt.NDArray[np.int32]
"""Rows drawn with replacement, [resamples, rows]: each line is one resample."""

Statistic = Callable[[Drawn], Floats]
"""The values of a metric, one per resample; NaN where it is not defined."""

AnyArray = npt.NDArray[Any]
"""Whatever a caller has: it is checked before it becomes a `Sample`."""
