"""Fixed-size, mergeable sketches of columns and the distances between a baseline and a window."""

from capstan_formats.sketches.baseline import Baseline, BaselineColumn, Role
from capstan_formats.sketches.category import CategorySketch
from capstan_formats.sketches.distances import (
    ChiSquare,
    chi_square,
    chi_square_p_value,
    jensen_shannon,
    psi,
    wasserstein,
)
from capstan_formats.sketches.numeric import NumericSketch
from capstan_formats.sketches.rules import Sketch, SketchError

__all__ = [
    "Baseline",
    "BaselineColumn",
    "CategorySketch",
    "ChiSquare",
    "NumericSketch",
    "Role",
    "Sketch",
    "SketchError",
    "chi_square",
    "chi_square_p_value",
    "jensen_shannon",
    "psi",
    "wasserstein",
]
