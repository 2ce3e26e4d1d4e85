"""Fixed-size, mergeable sketches of columns and the distances between a baseline and a window."""

from capstan_formats.sketches.baseline import Baseline, BaselineColumn, Role
from capstan_formats.sketches.category import CategorySketch
from capstan_formats.sketches.clusters import ClusterSketch, thinned
from capstan_formats.sketches.distances import (
    ChiSquare,
    chi_square,
    chi_square_p_value,
    jensen_shannon,
    psi,
    wasserstein,
)
from capstan_formats.sketches.homogeneity import Homogeneity, homogeneity
from capstan_formats.sketches.hypergeometric import at_least, at_most
from capstan_formats.sketches.moved_slice import moved_slice
from capstan_formats.sketches.numeric import NumericSketch
from capstan_formats.sketches.rules import Sketch, SketchError

__all__ = [
    "Baseline",
    "BaselineColumn",
    "CategorySketch",
    "ChiSquare",
    "ClusterSketch",
    "Homogeneity",
    "NumericSketch",
    "Role",
    "Sketch",
    "SketchError",
    "at_least",
    "at_most",
    "chi_square",
    "chi_square_p_value",
    "homogeneity",
    "jensen_shannon",
    "moved_slice",
    "psi",
    "thinned",
    "wasserstein",
]
