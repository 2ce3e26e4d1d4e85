"""Share of words that the training data does not name."""

from __future__ import annotations

from capstan_contracts.kinds.statistics import NewCategorySpec
from capstan_formats.sketches import CategorySketch, SketchError, at_least
from capstan_monitoring.statistics.port import AnySketch, Measured


class NewCategory:
    """By how much the share of words outside the baseline's vocabulary has grown, nulls left out; never below 0.

    The baseline names its 50 most frequent words, so rarer ones that were there in training count on both sides and
    cancel. The model has no code for a word that it never saw, hence a floor of 0.05: one row in twenty is answered
    without that column. The p-value is the one-sided one of Fisher's exact test (hypergeometric tail), since the cell
    is usually empty in training, where a chi-square test cannot speak.
    """

    spec = NewCategorySpec
    unit = "share"
    floor = 0.05

    def measure(self, baseline: AnySketch, window: AnySketch, spec: NewCategorySpec) -> Measured:
        """Category sketches with words on both sides. SketchError otherwise."""
        if not (isinstance(baseline, CategorySketch) and isinstance(window, CategorySketch)):
            raise SketchError("new categories are those of words")
        if baseline.vocabulary != window.vocabulary:
            raise SketchError("the window was not made from this baseline: its cells differ")
        before, now = baseline.total - baseline.nulls, window.total - window.nulls
        if not before or not now:
            raise SketchError("a share needs words on both sides")
        grown = window.other / now - baseline.other / before
        return Measured(max(0.0, grown), at_least(window.other, now, baseline.other + window.other, before + now))

    def in_report(self, floor: float) -> tuple[str, float] | None:
        """Evidently has nothing like it among its drift methods."""
        return None


NEW_CATEGORY = NewCategory()
