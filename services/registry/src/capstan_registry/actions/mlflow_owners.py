"""To which project something in MLflow belongs: asked of MLflow itself, then remembered.

Only what never changes is remembered: an experiment stays in its project (a new name must lie in the same one); a run,
a logged model and a trace stay in their experiment; the tag that Capstan puts on its runs is written at their start.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from capstan_registry.actions.ports import CatalogueServer
from capstan_registry.domain.model_names import project_of, project_of_experiment
from capstan_registry.domain.proxy_things import Kind, Thing
from capstan_servicekit.errors import Upstream

RUN_TAG: Final = "capstan.run"
"""The tag of a run that Capstan logged."""
_MOST_REMEMBERED: Final = 50_000
_WHERE: Final[Mapping[Kind, tuple[str, str]]] = {
    Kind.EXPERIMENT: ("2.0/mlflow/experiments/get", "experiment_id"),
    Kind.RUN: ("2.0/mlflow/runs/get", "run_id"),
    Kind.LOGGED_MODEL: ("2.0/mlflow/logged-models/{id}", ""),
    Kind.TRACE: ("3.0/mlflow/traces/{id}", ""),
}
_PATHS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.EXPERIMENT: ("experiment", "name"),
    Kind.RUN: ("run", "info", "experiment_id"),
    Kind.LOGGED_MODEL: ("model", "info", "experiment_id"),
    Kind.TRACE: ("trace", "trace_info", "trace_location", "mlflow_experiment", "experiment_id"),
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose it is. `capstan`: a run that Capstan logged."""

    project: str
    capstan: bool = False


class MlflowOwners:
    """Finds owners; forgets them when the server was started anew."""

    def __init__(self, server: CatalogueServer) -> None:
        self._server = server
        self._known: dict[Thing, Owner] = {}
        self._start = server.starts

    async def __call__(self, thing: Thing) -> Owner | None:
        """The owner, None when there is no such thing. NotReady, Upstream."""
        if thing.kind is Kind.MODEL_NAME:
            return Owner(project_of(thing.id))
        if thing.kind is Kind.EXPERIMENT_NAME:
            return Owner(project_of_experiment(thing.id))
        self._forget_an_earlier_start()
        if (known := self._known.get(thing)) is not None:
            return known
        found = await self._ask(thing)
        if found is not None:
            while len(self._known) >= _MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[thing] = found
        return found

    def _forget_an_earlier_start(self) -> None:
        if self._server.starts != self._start:
            self._known.clear()
            self._start = self._server.starts

    async def _ask(self, thing: Thing) -> Owner | None:
        route, parameter = _WHERE[thing.kind]
        query = urlencode({parameter: thing.id}) if parameter else ""
        document = await self._get(route.format(id=thing.id), query)
        if document is None:
            return None
        place: object = document
        for step in _PATHS[thing.kind]:
            place = place.get(step) if isinstance(place, Mapping) else None
        if not isinstance(place, str):
            raise Upstream(f"MLflow's answer does not say where the {thing.kind.words} lies")
        if thing.kind is Kind.EXPERIMENT:
            return Owner(project_of_experiment(place))
        owner = await self(Thing(Kind.EXPERIMENT, place))
        return owner and Owner(owner.project, thing.kind is Kind.RUN and RUN_TAG in _tags(document))

    async def _get(self, route: str, query: str) -> Mapping[str, object] | None:
        target = f"/mlflow/api/{route}"
        async with self._server.forward("GET", target, query=query, headers={}, body=None) as answer:
            content = b"".join([chunk async for chunk in answer.chunks])
        if 400 <= answer.status < 500:
            return None
        try:
            document = json.loads(content)
        except ValueError as error:
            raise Upstream(f"MLflow answered {answer.status} and something that is not JSON") from error
        if answer.status >= 400 or not isinstance(document, dict):
            raise Upstream(f"MLflow answered {answer.status} when asked for {route}")
        return document


def _tags(document: Mapping[str, object]) -> set[str]:
    run = document.get("run")
    data = run.get("data") if isinstance(run, Mapping) else None
    tags = data.get("tags") if isinstance(data, Mapping) else None
    return {str(tag.get("key")) for tag in tags if isinstance(tag, Mapping)} if isinstance(tags, list) else set()
