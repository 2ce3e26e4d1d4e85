"""The Loop: one model's life as one declarative object (`apiVersion: capstan.dev/v1alpha1`).

Fields of stations that are not built yet are part of the schema, so that a spec which uses them is refused with a
sentence (`not_built_yet`) and neither ignored nor taken for a typo.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from capstan_contracts.base import Instant, Spec
from capstan_contracts.durations import Duration
from capstan_contracts.ids import Digest, Identifier, Name
from capstan_contracts.kinds.columns import Column, ColumnType
from capstan_contracts.kinds.gates import ChampionGate, Gate, MetricGate, SliceGate
from capstan_contracts.kinds.least_rows import COLUMNS, least_rows
from capstan_contracts.kinds.media import MediaSpec
from capstan_contracts.kinds.metrics import Task, misfit
from capstan_contracts.kinds.modalities import ModalitySpec, TableModality
from capstan_contracts.kinds.sources import SourceSpec, UploadSource
from capstan_contracts.kinds.spec import mistake
from capstan_contracts.kinds.statistics import (
    MissingSpec,
    MovedSliceSpec,
    NewCategorySpec,
    Sort,
    Statistic,
    StatisticChoice,
)


class DatasetSpec(Spec):
    """A dataset: a name, a contract (a Great Expectations suite), its keys and its clocks.

    A file's columns become the dataset's in this order: `ignore` drops (the file's names), `rename` renames (the
    file's name to ours), `columns` casts. What none of them names is stored under its own name and type.
    """

    name: Name
    source: SourceSpec = UploadSource()
    media: MediaSpec = Field(default_factory=list, description="how files of a medium are to be read")
    contract: str | dict[str, Any] = Field(
        description="path of a GX suite JSON in the recipe; its content once resolved"
    )
    keys: list[Column] = Field(min_length=1)
    on_repeated_keys: Literal["quarantine", "replace"] = Field(
        default="quarantine",
        description="what becomes of a file with keys that rows of another partition have: it is set aside, or its "
        "rows take their place",
    )
    event_time: Column
    known_at: Column | None = Field(default=None, description="column that says when a row became known")
    columns: dict[Column, ColumnType] = Field(
        default_factory=dict, description="declared types; a declared column has to be in every file"
    )
    rename: dict[str, Column] = Field(default_factory=dict, description="the file's name of a column -> ours")
    ignore: list[str] = Field(default_factory=list, description="columns, by the file's names, that are not stored")
    modality: ModalitySpec = TableModality()
    schedule: str | None = None

    @model_validator(mode="after")
    def _columns_agree(self) -> Self:
        new = list(self.rename.values())
        twice = sorted({name for name in new if new.count(name) > 1})
        if twice:
            raise ValueError(f"rename: two columns would be called {twice[0]!r}")
        both = sorted(set(self.rename) & set(self.ignore))
        if both:
            raise ValueError(f"column {both[0]!r} is in rename and in ignore; keep it in one of them")
        clocks = [name for name in (self.event_time, self.known_at) if name is not None]
        for clock in clocks:
            if self.columns.get(clock, "timestamp") != "timestamp":
                raise ValueError(f"columns: {clock!r} is a clock, so its type is timestamp")
        read = {*self.keys, *clocks, *self.columns} - set(new)
        unread = sorted(read & set(self.ignore))
        if unread:
            raise ValueError(f"column {unread[0]!r} is ignored, and the dataset itself reads it")
        return self


class FeaturesSpec(Spec):
    """A feature service and the folder of the recipe that defines its views."""

    service: Identifier
    definitions: str = "features/"


class HoldoutSpec(Spec):
    """The time-ordered holdout: the last `days` days of the label times."""

    days: int = Field(default=14, ge=1, le=366)


class ResourcesSpec(Spec):
    """What a run may use."""

    cpu: float = Field(default=1, gt=0)
    memory_mb: int = Field(default=4096, ge=256)
    gpu: int = Field(default=0, ge=0)
    timeout: Duration = timedelta(minutes=30)


class TrainingSpec(Spec):
    """The KFP pipeline (`file.py:function`), its parameters, the label and what starts a run."""

    pipeline: str = Field(pattern=r"^[A-Za-z0-9_./-]+\.py:[A-Za-z_][A-Za-z0-9_]*$")
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)
    label: Column
    task: Task | None = Field(
        default=None,
        description="what the model answers; metrics and labels are then checked against it on apply, and packages by "
        "the gates. Without it the package alone says",
    )
    as_known: bool = Field(default=True, description="join only what was known at the label's time")
    seed: int = 7
    holdout: HoldoutSpec = HoldoutSpec()
    on: list[Literal["drift", "dataset", "schedule"]] = Field(default_factory=lambda: ["drift"])  # type: ignore[arg-type]
    first_at: int | None = Field(
        default=None, ge=1, description="start the first run by itself once the dataset has this many partitions"
    )
    resources: ResourcesSpec = ResourcesSpec()
    schedule: str | None = None


class ServingSpec(Spec):
    """How a champion is served."""

    log_features: bool = True
    canary: dict[str, Any] | None = None
    shadow: bool | None = None


class DriftSpec(Spec):
    """The drift alarm: statistic with an effect floor, corrected p-values, persistence of k of n windows."""

    statistic: StatisticChoice = StatisticChoice()
    floor: float | None = Field(
        default=None, gt=0, description="effect under which nothing is called drift; by default the statistic's own"
    )
    also: list[Statistic] = Field(
        default_factory=lambda: [MissingSpec(), MovedSliceSpec(), NewCategorySpec()],
        description="what each column is watched for besides, each with a floor of its own, where it fits the column",
    )
    alpha: float = Field(
        default=0.01, gt=0, lt=1, description="false discovery rate over the columns (Benjamini-Hochberg)"
    )
    min_rows: int = Field(
        default=500, ge=1, description="fewer rows get no verdict; never less than the test needs to tell anything"
    )
    persistence: tuple[int, int] = Field(default=(1, 1), description="k of the last n windows")
    seasonal: list[Column] = Field(
        default_factory=list, description="columns that the calendar moves: reported, never alarmed"
    )
    ignore: list[Column] = Field(default_factory=list)

    @model_validator(mode="after")
    def _k_of_n(self) -> Self:
        k, n = self.persistence
        if not 1 <= k <= n:
            raise ValueError(f"persistence [{k}, {n}] must be k of n with 1 <= k <= n")
        return self

    @model_validator(mode="after")
    def _one_scale_per_floor(self) -> Self:
        numeric, categorical = self.statistic.numeric, self.statistic.categorical
        if self.floor is not None and numeric.kind != categorical.kind:
            kinds = f"{numeric.kind} and {categorical.kind}"
            raise mistake(
                ("floor",), f"{kinds} have different scales: write a floor in each, `numeric: {{kind:, floor:}}`"
            )
        return self

    def too_few_rows(self) -> list[tuple[str, str]]:
        """(place below monitoring, rule) where windows would get no verdict although they hold `min_rows`."""
        least = least_rows(self.alpha)
        if self.min_rows >= least:
            return []
        rule = (
            f"{least} or more: with fewer rows, a column of {COLUMNS} that moves by one standard deviation "
            f"is not told at alpha {self.alpha:g}"
        )
        return [("drift.minRows", rule)]

    def floor_of(self, sort: Sort) -> float | None:
        """The floor that the loop gives a sort of columns; None leaves it to the statistic."""
        own = self.statistic.of(sort).floor
        return own if own is not None else self.floor


class LabelsSpec(Spec):
    """When and how labels come: by the dataset's keys, about `delay` after the prediction."""

    delay: Duration = timedelta(days=1)


class RetrainSpec(Spec):
    """The retrain guard, in event time."""

    cool_down: Duration = timedelta(days=1)
    budget_per_day: int = Field(default=3, ge=1)


class QualityBound(MetricGate):
    """What live quality must keep to. It is looked at after every batch of labels, and told once when it is missed.

    The interval that decides holds at all looks together (`capstan_evaluation.anytime`), from `minLabels` on.
    """

    min_labels: int = Field(default=100, ge=30, description="so many labels of a window before anything is told of it")


class MonitoringSpec(Spec):
    """Windows of event time, drift, labels, retrain guard."""

    window: Duration = timedelta(days=30)
    window_origin: Instant = Field(
        default=datetime(2000, 1, 3, tzinfo=UTC),
        description="a window begins here, and one each `window` before and after; by default a Monday",
    )
    drift: DriftSpec = DriftSpec()
    labels: LabelsSpec = LabelsSpec()
    quality: QualityBound | None = None
    retrain: RetrainSpec = RetrainSpec()
    schedule: str | None = None


class Metadata(Spec):
    """Name and project of a loop."""

    name: Name
    project: Name = "default"


class LoopSpec(Spec):
    """The stations of one loop."""

    dataset: DatasetSpec
    sources: list[DatasetSpec] = Field(default_factory=list, description="further datasets that views read")
    features: FeaturesSpec | None = Field(
        default=None, description="none: the model reads the dataset's declared columns (`capstan_contracts.plain`)"
    )
    training: TrainingSpec
    gates: list[Gate] = Field(min_length=1)
    quality: Literal["none"] | None = Field(
        default=None, description="`none`: no gate looks at quality, and that is meant; shown with every decision"
    )
    serving: ServingSpec = ServingSpec()
    monitoring: MonitoringSpec = MonitoringSpec()

    @model_validator(mode="after")
    def _unique_datasets(self) -> Self:
        names = [self.dataset.name, *(source.name for source in self.sources)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"dataset names must be unique in a loop; twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _somebody_looks_at_quality(self) -> Self:
        looks = any(gate.quality for gate in self.gates)
        if not looks and self.quality is None:
            raise mistake(
                ("gates",),
                "no gate looks at quality, so any candidate would become champion: add a gate of kind metric, champion "
                "or slice, or write `quality: none` into the spec",
            )
        if looks and self.quality is not None:
            raise mistake(("quality",), "`none`, and yet a gate looks at quality: leave one of the two out")
        return self

    @model_validator(mode="after")
    def _metrics_fit_the_task(self) -> Self:
        task, live = self.training.task, self.monitoring.quality
        if task is None:
            return self
        for number, gate in enumerate(self.gates):
            if isinstance(gate, MetricGate | ChampionGate | SliceGate) and (why := misfit(gate.metric, task)):
                raise mistake(("gates", number, "metric"), why, gate.metric)
        if live is not None and (why := misfit(live.metric, task)):
            raise mistake(("monitoring", "quality", "metric"), why, live.metric)
        return self


class Loop(Spec):
    """`kind: Loop`, as users write it."""

    api_version: Literal["capstan.dev/v1alpha1"]
    kind: Literal["Loop"]
    metadata: Metadata
    spec: LoopSpec

    def not_built_yet(self) -> list[tuple[str, str]]:
        """(place, sentence) for each used field whose station does not exist yet."""
        spec = self.spec
        unbuilt = [
            (f"spec.{place}", f"{what} is not built yet; leave the field out for now")
            for place, what, used in (
                ("serving.canary", "a canary rollout", spec.serving.canary is not None),
                ("serving.shadow", "shadow traffic", spec.serving.shadow is not None),
                ("training.schedule", "scheduled training", spec.training.schedule is not None),
                ("training.on", "training on a schedule", "schedule" in spec.training.on),
                ("training.resources.gpu", "training on a GPU", spec.training.resources.gpu > 0),
                ("monitoring.schedule", "scheduled monitoring", spec.monitoring.schedule is not None),
            )
            if used
        ]
        datasets = [("dataset", spec.dataset), *((f"sources[{i}]", s) for i, s in enumerate(spec.sources))]
        unbuilt += [
            (f"spec.{place}.schedule", "scheduled ingestion is not built yet; leave the field out for now")
            for place, dataset in datasets
            if dataset.schedule is not None
        ]
        return unbuilt


# --- the definitions inside the recipe's features folder -------------------------------------------------------------

DType = Literal["float64", "int64", "string", "bool", "timestamp"]


class ViewColumn(Spec):
    """A feature column of a view."""

    name: Column
    dtype: DType


class ViewSpec(Spec):
    """A feature view: entity keys, clocks, ttl and one SELECT over the dataset's table (DuckDB SQL)."""

    name: Identifier
    dataset: Name
    keys: list[ViewColumn] = Field(min_length=1)
    event_time: Column
    created_time: Column | None = None
    ttl: Duration | None = None
    columns: list[ViewColumn] = Field(min_length=1)
    sql: str = Field(description="the SELECT itself; in the recipe, the path of a .sql file beside the view")
    description: str = ""


class LookupSpec(Spec):
    """How a feature service reads a view: which request column (or derived column) feeds each view key."""

    view: Identifier
    keys: dict[Column, Column] = Field(description="view key -> request column")


class FeatureServiceSpec(Spec):
    """What one model reads: request columns, derived keys and views."""

    name: Identifier
    label_time: Column
    request: list[ViewColumn] = Field(min_length=1, description="columns a caller sends with each row")
    derived: dict[Column, str] = Field(
        default_factory=dict, description="key columns derived from request columns: `floor_hour(<column>)`"
    )
    lookups: list[LookupSpec]


class FeatureDefinitions(Spec):
    """A resolved features folder: the service and its views, SQL inlined."""

    service: FeatureServiceSpec
    views: list[ViewSpec]

    @model_validator(mode="after")
    def _lookups_fit(self) -> Self:
        views = {view.name: view for view in self.views}
        columns = {column.name for column in self.service.request} | set(self.service.derived)
        for lookup in self.service.lookups:
            view = views.get(lookup.view)
            if view is None:
                raise ValueError(f"lookup of unknown view {lookup.view!r}; views: {', '.join(sorted(views))}")
            if set(lookup.keys) != {key.name for key in view.keys}:
                raise ValueError(f"lookup of {lookup.view!r} must give exactly its keys {[k.name for k in view.keys]}")
            missing = sorted(set(lookup.keys.values()) - columns)
            if missing:
                raise ValueError(f"lookup of {lookup.view!r} reads unknown request columns {missing}")
        return self


class ResolvedLoop(Spec):
    """What `capstan apply` sends: the loop with its contracts and definitions inlined, and the recipe's code digest."""

    loop: Loop
    definitions: FeatureDefinitions
    code: Digest


class LoopPart(Spec):
    """What the registry hands each service: the whole resolved loop and its generation; each takes its part."""

    generation: int = Field(ge=1)
    resolved: ResolvedLoop
