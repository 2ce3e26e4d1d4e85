"""Feature store: views, training sets, materialization, online reads.

GET  /views, /views/{view}                                                         viewer
GET  /feature-services/{name}                   FeatureServiceInfo                 viewer
POST /training-sets                             TrainingSetRequest -> 202 TrainingSet   operator
GET  /training-sets/{id}                        TrainingSet                        viewer
POST /materializations                          MaterializationRequest -> 202 Materialization   operator
GET  /materializations/{id}, /materializations                                     viewer
POST /online-features                           OnlineRequest -> OnlineResponse    viewer
POST /views/{view}/explain                      ExplainRequest -> Explanation      viewer
PUT  /loops/{loop}?dry_run=                     LoopPart -> PartStatus             service
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from capstan_contracts.base import Instant, Lenient, Wire
from capstan_contracts.ids import Digest, Identifier, Name, Version
from capstan_contracts.loop import FeatureServiceSpec, ViewSpec
from capstan_contracts.work import WorkStatus


class View(Lenient):
    """A feature view under its content version."""

    name: str
    version: Digest
    spec: ViewSpec
    dataset_version: Digest | None = Field(default=None, description="what the online store holds")
    online_rows: int = 0
    online_watermark: Instant | None = None


class FeatureServiceInfo(Lenient):
    """A feature service with the versions of its views."""

    name: str
    spec: FeatureServiceSpec
    views: dict[str, Digest]


class TrainingSetRequest(Wire):
    """A point-in-time join: the label dataset's rows, left-joined with the views as known at each label's time."""

    feature_service: Identifier
    dataset: Name
    dataset_version: Version
    label: str
    as_known: bool = True
    sources: dict[str, Version] = Field(
        default_factory=dict, description="pinned versions of the other datasets; the newest where not given"
    )


class TrainingSet(WorkStatus):
    """A pinned training set: one Parquet object and everything that went into it."""

    id: str
    request: TrainingSetRequest
    digest: Digest | None = None
    rows: int | None = None
    unlabelled: int | None = Field(default=None, description="rows left out because they will never have a label")
    view_versions: dict[str, Digest] = Field(default_factory=dict)
    dataset_versions: dict[str, Digest] = Field(default_factory=dict)


class MaterializationRequest(Wire):
    """Bring the online store of a view to a dataset version (the newest when not given)."""

    view: Identifier
    dataset_version: Version | None = None


class Materialization(WorkStatus):
    """One materialization."""

    id: str
    view: str
    view_version: Digest
    dataset_version: Digest
    rows: int | None = None
    watermark: Instant | None = None


class OnlineRequest(Wire):
    """Read features for entities. `entities` maps request columns to equally long lists."""

    feature_service: Identifier
    entities: dict[str, list[Any]]
    event_time: Instant | None = None


class OnlineValues(Lenient):
    """One view's answer, row by row."""

    view: str
    version: Digest
    columns: dict[str, list[Any]]
    status: list[Literal["present", "expired", "missing", "unknown"]] = Field(
        description="unknown: unknown that far back, for the moment lies before the oldest row that is kept online"
    )
    event_times: list[Instant | None]


class OnlineResponse(Lenient):
    """Features of every row, in order; rows that are not present hold nulls."""

    feature_service: str
    views: list[OnlineValues]


class ExplainRequest(Wire):
    """Where does the value of this entity at this event time come from?"""

    keys: dict[str, Any]
    event_time: Instant
    dataset_version: Version | None = None


class SourceRow(Lenient):
    """A row of a dataset file: `row` is 0-based in the file."""

    dataset: str
    dataset_version: Digest
    file: str
    batch: Digest
    row: int
    values: dict[str, Any]


class Explanation(Lenient):
    """The source rows behind a feature value."""

    view: str
    view_version: Digest
    rows: list[SourceRow]
    total: int
    note: str = Field(default="", description="what could not be compared, if anything")
