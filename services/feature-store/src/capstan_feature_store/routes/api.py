"""Routes of the feature store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Header, Query

from capstan_contracts.ids import Digest, Identifier, Uuid7
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.feature_store import (
    ExplainRequest,
    Explanation,
    FeatureServiceInfo,
    Materialization,
    MaterializationRequest,
    OnlineRequest,
    OnlineResponse,
    TrainingSet,
    TrainingSetRequest,
    View,
)
from capstan_feature_store.actions.catalogue import Catalogue
from capstan_feature_store.actions.explain_value import ExplainValue
from capstan_feature_store.actions.read_online import ReadOnline
from capstan_feature_store.actions.request_materialization import Materializations
from capstan_feature_store.actions.request_training_set import TrainingSets
from capstan_servicekit.http.routing import Router
from capstan_servicekit.security.auth import Operator, ProjectName, Viewer

PREFIX = "/v1/projects/{project}"
IdempotencyKey = Annotated[str | None, Header(alias="Idempotency-Key")]


@dataclass(frozen=True)
class Actions:
    """What the routes call."""

    catalogue: Catalogue
    training_sets: TrainingSets
    materializations: Materializations
    read_online: ReadOnline
    explain: ExplainValue


def routers(actions: Actions) -> list[Router]:
    """All routers, with the project in every path."""
    return [
        _catalogue(actions),
        _training_sets(actions),
        _materializations(actions),
        _features(actions),
    ]


def _catalogue(actions: Actions) -> Router:
    router = Router(prefix=PREFIX, tags=["catalogue"])

    @router.get("/views", response_model=Page[View])
    async def views(project: ProjectName, _: Viewer) -> Page[View]:
        """The views under their current versions, with what is online."""
        return await actions.catalogue.views(project)

    @router.get("/views/{view}", response_model=View)
    async def view(project: ProjectName, view: Identifier, _: Viewer) -> View:
        """One view under its current version."""
        return await actions.catalogue.view(project, view)

    @router.get("/feature-services/{name}", response_model=FeatureServiceInfo)
    async def feature_service(project: ProjectName, name: Identifier, _: Viewer) -> FeatureServiceInfo:
        """A feature service with the versions of its views."""
        return await actions.catalogue.feature_service(project, name)

    return router


def _training_sets(actions: Actions) -> Router:
    router = Router(prefix=PREFIX, tags=["training sets"])

    @router.post("/training-sets", status_code=202, response_model=TrainingSet)
    async def request(
        project: ProjectName, body: TrainingSetRequest, _: Operator, key: IdempotencyKey = None
    ) -> TrainingSet:
        """Pin and build a training set; the same request is the same training set."""
        return await actions.training_sets.request(project, body, key)

    @router.get("/training-sets/{training_set}", response_model=TrainingSet)
    async def training_set(project: ProjectName, training_set: Digest, _: Viewer) -> TrainingSet:
        """State, pins and digest of a training set."""
        return await actions.training_sets.get(project, training_set)

    return router


def _materializations(actions: Actions) -> Router:
    router = Router(prefix=PREFIX, tags=["materializations"])

    @router.post("/materializations", status_code=202, response_model=Materialization)
    async def request(
        project: ProjectName, body: MaterializationRequest, _: Operator, key: IdempotencyKey = None
    ) -> Materialization:
        """Bring the online store of a view to a dataset version."""
        return await actions.materializations.request(project, body, key)

    @router.get("/materializations", response_model=Page[Materialization])
    async def listing(
        project: ProjectName,
        _: Viewer,
        view: Annotated[Identifier | None, Query()] = None,
        after: Annotated[Uuid7 | None, Query()] = None,
    ) -> Page[Materialization]:
        """Materializations, newest first."""
        return await actions.materializations.list(project, view=view, after=after)

    @router.get("/materializations/{materialization}", response_model=Materialization)
    async def materialization(project: ProjectName, materialization: Uuid7, _: Viewer) -> Materialization:
        """State and result of a materialization."""
        return await actions.materializations.get(project, materialization)

    return router


def _features(actions: Actions) -> Router:
    router = Router(prefix=PREFIX, tags=["features"])

    @router.post("/online-features", response_model=OnlineResponse)
    async def online_features(project: ProjectName, body: OnlineRequest, _: Viewer) -> OnlineResponse:
        """Features of entities as of an event time (now by default)."""
        return await actions.read_online(project, body)

    @router.post("/views/{view}/explain", response_model=Explanation)
    async def explain(project: ProjectName, view: Identifier, body: ExplainRequest, _: Viewer) -> Explanation:
        """The source rows behind a feature value."""
        return await actions.explain(project, view, body)

    return router
