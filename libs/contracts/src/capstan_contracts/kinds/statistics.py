"""The drift statistics that a loop may write: how far a column of a window is from the training data.

A distribution adds one by an entry point in `capstan.specs.statistics` that names a subclass of `StatisticSpec`, and
one in `capstan.statistics` that names its implementation (docs/how-to/add-a-statistic.md).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from capstan_contracts.base import Spec
from capstan_contracts.kinds.family import Family
from capstan_contracts.kinds.spec import KIND, KindSpec, OneOfKinds, check_words, mistake, name_alone, names_alone

Sort = Literal["numeric", "categorical"]
"""What a column holds, and hence which sketch of it is in the package."""

BOTH: Final[frozenset[Sort]] = frozenset(("numeric", "categorical"))


class StatisticSpec(KindSpec):
    """Base of every statistic's spec. `takes` says which sorts of columns it can compare."""

    takes: ClassVar[frozenset[Sort]] = BOTH
    floor: float | None = Field(
        default=None, gt=0, description="effect under which nothing is called drift; by default the statistic's own"
    )


class PsiSpec(StatisticSpec):
    """Population stability index."""

    kind: Literal["psi"] = "psi"


class JensenShannonSpec(StatisticSpec):
    """Jensen-Shannon distance, base 2."""

    kind: Literal["jensen-shannon"] = "jensen-shannon"


class WassersteinSpec(StatisticSpec):
    """First Wasserstein distance, in standard deviations of the training data."""

    takes: ClassVar[frozenset[Sort]] = frozenset(("numeric",))
    kind: Literal["wasserstein"] = "wasserstein"


class ChiSquareSpec(StatisticSpec):
    """Chi-square distance of the shares per cell, as Cramér's V of two samples of equal weight."""

    kind: Literal["chi-square"] = "chi-square"


class MissingSpec(StatisticSpec):
    """Change of the share of values that are missing."""

    kind: Literal["missing"] = "missing"


class MovedSliceSpec(StatisticSpec):
    """Share of rows that have gathered in one place while the others stayed."""

    takes: ClassVar[frozenset[Sort]] = frozenset(("numeric",))
    kind: Literal["moved-slice"] = "moved-slice"


class NewCategorySpec(StatisticSpec):
    """Share of values that the training data does not name."""

    takes: ClassVar[frozenset[Sort]] = frozenset(("categorical",))
    kind: Literal["new-category"] = "new-category"


STATISTIC_SPECS: Final[Family[type[StatisticSpec]]] = Family("capstan.specs.statistics")
STATISTIC_KINDS: Final = OneOfKinds(
    StatisticSpec, STATISTIC_SPECS, noun="statistic", spell=name_alone, short=names_alone
)
Statistic = Annotated[StatisticSpec, STATISTIC_KINDS]
"""A statistic of any kind that is installed."""


def _short_choice(schema: dict[str, Any]) -> None:
    """In the JSON schema a choice may also be one statistic for both."""
    choice = dict(schema)
    schema.clear()
    schema["anyOf"] = [choice, choice["properties"]["numeric"] | {"default": "psi"}]


class StatisticChoice(Spec):
    """The statistic of numeric and that of categorical columns. Short: one name for both, `psi`."""

    model_config = ConfigDict(json_schema_extra=_short_choice)

    numeric: Statistic = PsiSpec()
    categorical: Statistic = PsiSpec()

    @model_validator(mode="before")
    @classmethod
    def _one_for_both(cls, value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if isinstance(value, dict) and KIND not in value:
            check_words(cls, value, "a choice of statistics")
            return value
        spec = STATISTIC_KINDS.parse(value)
        return {"numeric": spec, "categorical": spec}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for sort in ("numeric", "categorical"):
            chosen: StatisticSpec = getattr(self, sort)
            if sort not in chosen.takes:
                raise _unfit(sort, chosen)
        return self

    def of(self, sort: Sort) -> StatisticSpec:
        """The statistic of a sort of columns."""
        return self.numeric if sort == "numeric" else self.categorical


def _unfit(sort: Sort, chosen: StatisticSpec) -> ValidationError:
    fit = [name for name in STATISTIC_SPECS.names if sort in STATISTIC_KINDS.model(name).takes]
    sentence = f"{chosen.kind} does not compare {sort} columns; write {sort}: with one of {', '.join(fit)}"
    return mistake((sort,), sentence, chosen.kind)
