"""The gates that a loop may write: what must hold before a version becomes champion.

A distribution adds one by an entry point in `capstan.specs.gates` that names a subclass of `GateSpec`, and one in
`capstan.gates` that names its implementation (docs/how-to/add-a-gate.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from capstan_contracts.kinds.columns import Column
from capstan_contracts.kinds.family import Family, nearest
from capstan_contracts.kinds.metrics import Metric
from capstan_contracts.kinds.spec import KIND, KindSpec, OneOfKinds, Spelled, mistake


class GateSpec(KindSpec):
    """Base of every gate's spec. `quality` says whether the gate looks at how good the answers of the model are."""

    quality: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """What people call this gate: in figures, in the ledger and in what applying a loop changes."""
        return self.kind


class MetricGate(GateSpec):
    """A metric on the pinned holdout must reach `min` (or stay under `max`). Short: `{metric: auc, min: 0.65}`."""

    quality: ClassVar[bool] = True
    kind: Literal["metric"] = "metric"
    metric: Metric
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.min is None) == (self.max is None):
            raise ValueError("a metric gate has exactly one of min and max")
        return self

    @property
    def bound(self) -> float:
        """The one bound, in the metric's unit."""
        bound = self.min if self.min is not None else self.max
        assert bound is not None
        return bound

    @property
    def title(self) -> str:
        """`auc >= 0.65`."""
        return f"{self.metric} {'>=' if self.min is not None else '<='} {self.bound:g}"


class ChampionGate(GateSpec):
    """Shown to be no worse than the champion by more than a margin, on rows that neither has learned.

    Short: `{noWorseThanChampion: {metric: auc, margin: 0.01}}`. Too few rows to tell is an answer of its own, and it
    does not pass. `tieBreak` decides between a candidate and a champion of which neither is shown to be better.
    """

    quality: ClassVar[bool] = True
    kind: Literal["champion"] = "champion"
    metric: Metric
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    margin: float | None = Field(
        default=None, ge=0, description="how much worse is as good, in the unit of the metric; by default its own"
    )
    tie_break: Literal["keep", "newer"] = Field(
        default="newer", description="of two that are as good as each other, which one serves"
    )
    look_back: int = Field(
        default=10, ge=0, le=100, description="former champions, the best of which the candidate is compared with, too"
    )

    @property
    def title(self) -> str:
        """`no worse than the champion: auc`."""
        return f"no worse than the champion: {self.metric}"


class SliceGate(GateSpec):
    """No slice may drop by more than `max_drop` against the champion; slices under `min_rows` are not judged.

    Short: `{slice: carrier, metric: auc, maxDrop: 0.05}`.
    """

    quality: ClassVar[bool] = True
    kind: Literal["slice"] = "slice"
    slice: Column
    metric: Metric
    max_drop: float = Field(gt=0)
    min_rows: int = Field(default=500, ge=1)

    @property
    def title(self) -> str:
        """`slice carrier: auc`."""
        return f"slice {self.slice}: {self.metric}"


class FormatGate(GateSpec):
    """The package is of a format that runs no code when loaded. Short: `{format: native}`."""

    kind: Literal["format"] = "format"
    format: Literal["native"] = "native"

    @property
    def title(self) -> str:
        """`format: native`."""
        return f"format: {self.format}"


class LatencyGate(GateSpec):
    """Single-row predictions of the package, measured one after the other where the gates run, stay under a bound."""

    kind: Literal["latency"] = "latency"
    p50_ms: float | None = Field(default=None, gt=0, description="bound of the median, in milliseconds")
    p99_ms: float | None = Field(default=None, gt=0, description="bound of the 99th percentile, in milliseconds")
    predictions: int = Field(default=1000, ge=100, le=100_000, description="how many are timed")
    warm_up: int = Field(default=100, ge=0, le=10_000, description="how many are made before, and not timed")

    @model_validator(mode="after")
    def _a_bound(self) -> Self:
        if self.p50_ms is None and self.p99_ms is None:
            raise ValueError("a latency gate has p50Ms, p99Ms or both")
        return self

    @property
    def title(self) -> str:
        """`latency: p99 <= 5 ms`."""
        bounds = (("p50", self.p50_ms), ("p99", self.p99_ms))
        return "latency: " + ", ".join(f"{name} <= {bound:g} ms" for name, bound in bounds if bound is not None)


class SizeGate(GateSpec):
    """The package has at most `max_bytes` bytes."""

    kind: Literal["size"] = "size"
    max_bytes: int = Field(ge=1)

    @property
    def title(self) -> str:
        """`size <= 1000000 bytes`."""
        return f"size <= {self.max_bytes} bytes"


class SchemaGate(GateSpec):
    """What the package reads is what the loop serves: each input by name and dtype, in the request or in its view."""

    kind: Literal["schema"] = "schema"

    @property
    def title(self) -> str:
        """What the gate compares."""
        return "schema: inputs of the package are served"


class ApprovalGate(GateSpec):
    """A person, another one than who asked for the promotion, says yes. Until then the promotion waits."""

    kind: Literal["approval"] = "approval"

    @property
    def title(self) -> str:
        """Who decides."""
        return "approval by a person"


_CHAMPION: Final = "noWorseThanChampion"
_SHORT: Final = {_CHAMPION: "champion", "slice": "slice", "format": "format", "metric": "metric"}
"""The word that marks a short spelling, and its kind. A slice gate has a metric too."""


def _spell(value: Any) -> Spelled:
    """The family's before-validator: `kind` from the short spelling."""
    if not isinstance(value, Mapping) or KIND in value:
        return Spelled(value)
    marks = [word for word in _SHORT if word in value]
    if "slice" in marks and "metric" in marks:
        marks.remove("metric")
    if not marks:
        raise _no_mark(value)
    if len(marks) > 1:
        both = " and ".join(repr(word) for word in marks)
        raise mistake((), f"{both} are two gates: write each as an entry of its own", dict(value))
    if marks != [_CHAMPION]:
        return Spelled({KIND: _SHORT[marks[0]], **value})
    odd = [word for word in value if word != _CHAMPION]
    if odd:
        raise mistake((str(odd[0]),), f"{odd[0]!r} stands beside {_CHAMPION!r}; it belongs inside", dict(value))
    rule = value[_CHAMPION]
    return Spelled({KIND: "champion", **rule} if isinstance(rule, Mapping) else rule, (_CHAMPION,))


def _no_mark(value: Mapping[Any, Any]) -> Exception:
    words = (KIND, *_SHORT)
    for word in value:
        if (close := nearest(str(word), words)) is not None:
            return mistake((str(word),), f"no gate is written with {word!r}; did you mean {close!r}?", value[word])
    kinds, short = ", ".join(GATE_SPECS.names), ", ".join(_SHORT)
    return mistake((), f"a gate names its `kind` ({kinds}) or is written short with one of {short}", dict(value))


def _short(names: Sequence[str]) -> list[dict[str, Any]]:
    """The one short spelling that is no instance of its kind's schema."""
    inner = {"type": "object", "description": "the fields of a gate of kind champion"}
    return [
        {"type": "object", "properties": {_CHAMPION: inner}, "required": [_CHAMPION], "additionalProperties": False}
    ]


GATE_SPECS: Final[Family[type[GateSpec]]] = Family("capstan.specs.gates")
GATE_KINDS: Final = OneOfKinds(GateSpec, GATE_SPECS, noun="gate", spell=_spell, short=_short)
Gate = Annotated[GateSpec, GATE_KINDS]
"""A gate of any kind that is installed."""
