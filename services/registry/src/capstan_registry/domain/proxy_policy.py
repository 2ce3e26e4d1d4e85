"""What the MLflow proxy lets through: an allow-list of its REST endpoints with the role that each needs, and what it
names or lists: a request that names nothing has no project, so most must name something.

Deny by default: an endpoint that is not listed, also one that a newer MLflow brings, is refused. (CVE-2026-0545 and
CVE-2026-3198 were endpoints that a deny-list had forgotten.)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from capstan_contracts.roles import Role
from capstan_registry.domain.proxy_things import Kind


class Guard(StrEnum):
    """A further look at query or body before a request goes on."""

    ARTIFACT_QUERY = "artifact-query"
    ARTIFACT_FOLDER = "artifact-folder"
    GRAPHQL = "graphql"
    TAG = "tag"
    RUN = "run"
    EXPERIMENT = "experiment"
    EXPERIMENTS = "experiments"
    MODEL = "model"
    MODEL_TAG = "model-tag"
    ALIAS = "alias"
    NEW_VERSION = "new-version"


@dataclass(frozen=True, slots=True)
class Pass:
    """A request may go on: for whom, after which look.

    `names`: the kind of thing that the request must name; None for what belongs to no project and for searches within
    the ids that are given (without any, MLflow finds nothing). `lists`: the field of the
    answer whose entries are cut down to the caller's projects by their names. `prefixed`: MLflow serves it under its
    static prefix. `on_capstan`: an operator may do this to a run that Capstan logged.
    """

    role: Role
    names: Kind | None = None
    guard: Guard | None = None
    lists: str | None = None
    on_capstan: bool = False
    upload: bool = False
    artifact: bool = False
    prefixed: bool = True


_READS: Final = """
GET  experiments/get                              experiment
GET  experiments/get-by-name                      experiment-name
GET  experiments/search                           lists=experiments
POST experiments/search                           lists=experiments
POST experiments/search-datasets                  ids
GET  runs/get                                     run
POST runs/search                                  ids
GET  metrics/get-history                          run
GET  metrics/get-history-bulk                     run
GET  metrics/get-history-bulk-interval            run
GET  artifacts/list                               run               artifact-query
GET  registered-models/get                        model-name
GET  registered-models/search                     lists=registered_models
GET  registered-models/get-latest-versions        model-name
POST registered-models/get-latest-versions        model-name
GET  registered-models/alias                      model-name
GET  model-versions/get                           model-name
GET  model-versions/search                        lists=model_versions
GET  model-versions/get-download-uri              model-name
GET  logged-models/{model_id}                     logged-model
POST logged-models/search                         ids
GET  logged-models/{model_id}/artifacts/directories  logged-model
GET  server-info                                  open
GET  ui-telemetry                                 open
GET  workspaces                                   open
GET  datasets/search                              ids               experiments
POST datasets/search                              ids               experiments
POST traces/search                                ids
GET  traces/get                                   trace
GET  traces/{trace_id}                            trace
"""

_WRITES: Final = """
POST   experiments/create                         experiment-name   experiment
POST   experiments/update                         experiment
POST   experiments/set-experiment-tag             experiment        tag
POST   runs/create                                experiment        run
POST   runs/update                                run
POST   runs/log-metric                            run
POST   runs/log-parameter                         run
POST   runs/set-tag                               run               tag    on-capstan
POST   runs/delete-tag                            run               tag    on-capstan
POST   runs/log-batch                             run               run
POST   runs/log-inputs                            run
POST   runs/log-model                             run
POST   runs/outputs                               run
POST   logged-models                              experiment        run
PATCH  logged-models/{model_id}                   logged-model
POST   logged-models/{model_id}/params            logged-model
PATCH  logged-models/{model_id}/tags              logged-model      run
DELETE logged-models/{model_id}/tags/{key}        logged-model
POST   registered-models/create                   model-name        model
PATCH  registered-models/update                   model-name        model
POST   registered-models/set-tag                  model-name        model-tag
DELETE registered-models/delete-tag               model-name        model-tag
POST   registered-models/alias                    model-name        alias
DELETE registered-models/alias                    model-name        alias
POST   model-versions/create                      model-name        new-version  on-capstan
PATCH  model-versions/update                      model-name        model
POST   model-versions/set-tag                     model-name        model-tag
DELETE model-versions/delete-tag                  model-name        model-tag
"""

_API: Final = r"(?:ajax-)?api/[23]\.0/mlflow/"
_PARTS: Final = {
    "model_id": r"(?P<model_id>m-[0-9a-f]{32})",
    "trace_id": r"(?P<trace_id>(?:tr-)?[0-9a-f]{32})",
    "key": r"(?P<key>[^/]{1,250})",
}
_FILE: Final = r"[^/\s][^/]*"
_ARTIFACT: Final = (
    r"(?:ajax-)?api/2\.0/mlflow-artifacts/artifacts/"
    r"(?P<experiment_id>\d{1,20})/(?:(?P<run_id>[0-9a-f]{32})|models/(?P<model_id>m-[0-9a-f]{32}))/artifacts/"
    rf"(?:{_FILE}/)*{_FILE}"
)
_CODE_WHEN_LOADED: Final = re.compile(r"\.(?:pkl|pickle|joblib|dill|cloudpickle|pt|pth)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An entry of the allow-list. `template` is how people write its path."""

    method: str
    template: str
    pattern: re.Pattern[str]
    allowed: Pass


def _table(text: str, role: Role) -> list[Endpoint]:
    endpoints = []
    for line in text.strip().splitlines():
        method, template, reach, *looks = line.split()
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda found: _PARTS[found[1]], re.escape(template))
        guards = [Guard(look) for look in looks if look != "on-capstan"]
        names = None if reach in ("open", "ids") or reach.startswith("lists=") else Kind(reach)
        lists = reach.removeprefix("lists=") if reach.startswith("lists=") else None
        allowed = Pass(role, names, guards[0] if guards else None, lists, "on-capstan" in looks)
        endpoints.append(Endpoint(method, template, re.compile(_API + pattern), allowed))
    return endpoints


def _one(method: str, template: str, pattern: str, allowed: Pass) -> Endpoint:
    return Endpoint(method, template, re.compile(pattern), allowed)


_FILES: Final = "mlflow-artifacts/artifacts"
_READ_FILE: Final = Pass(Role.VIEWER, Kind.EXPERIMENT, artifact=True, prefixed=False)
_WRITE_FILE: Final = Pass(Role.OPERATOR, Kind.EXPERIMENT, upload=True, artifact=True, prefixed=False)
_FOLDER: Final = Pass(Role.VIEWER, Kind.EXPERIMENT, Guard.ARTIFACT_FOLDER)
ENDPOINTS: Final[list[Endpoint]] = [
    _one("GET", "(page)", r"|static-files/.+|version|health", Pass(Role.VIEWER)),
    # The page's own queries; MLflow's GraphQL schema has no resolver that changes anything.
    _one("POST", "graphql", r"graphql", Pass(Role.VIEWER, None, Guard.GRAPHQL)),
    _one("GET", "get-artifact", r"get-artifact", Pass(Role.VIEWER, Kind.RUN, Guard.ARTIFACT_QUERY, artifact=True)),
    _one("GET", f"{_FILES}/{{file}}", _ARTIFACT, _READ_FILE),
    _one("PUT", f"{_FILES}/{{file}}", _ARTIFACT, _WRITE_FILE),
    _one("GET", _FILES, r"(?:ajax-)?api/2\.0/mlflow-artifacts/artifacts", _FOLDER),
    *_table(_READS, Role.VIEWER),
    *_table(_WRITES, Role.OPERATOR),
]
"""The allow-list. The first entry that fits counts."""

_PROMOTE: Final = "Promote by POST /v1/projects/{project}/models/{model}/versions/{version}/promotions."
_REASONS: Final[list[tuple[re.Pattern[str], str, str]]] = [
    (
        re.compile(r".*/(?:registered-models/(?:delete|rename)|model-versions/delete)"),
        "Models and versions are not deleted or renamed here: the ledger refers to them for ever",
        "Promote another version instead, or set a tag on this one.",
    ),
    (
        re.compile(r".*/model-versions/transition-stage"),
        "Stages are not used here: which version is production is decided by gates and written into the ledger",
        _PROMOTE,
    ),
    (
        re.compile(r".*/(?:runs|experiments|logged-models|traces)/(?:delete|restore)[\w-]*|.*/logged-models/[^/]+"),
        "Runs and experiments are not deleted or restored here: versions and their lineage refer to them",
        "Set a tag on the run instead.",
    ),
    (
        re.compile(r".*(?:gateway|webhooks|jobs|workspaces|assistant|secrets|scorers).*"),
        "MLflow's gateway, webhooks, jobs and workspaces are closed here: events and projects are Capstan's",
        "Subscribe to Capstan's events (`capstan events`) instead.",
    ),
    (
        re.compile(r".*mlflow-artifacts.*|.*artifact.*"),
        "Artifacts are written only below a run or a logged model, under a plain path",
        "Use the MLflow client's log_artifact within a run.",
    ),
]


def look_up(method: str, path: str) -> tuple[Pass, Mapping[str, str]] | None:
    """The pass of a request and the ids in its path, or None: refuse."""
    if method == "PUT" and _CODE_WHEN_LOADED.search(path):
        return None
    for endpoint in ENDPOINTS:
        if endpoint.method == method and (found := endpoint.pattern.fullmatch(path)) is not None:
            return endpoint.allowed, {name: value for name, value in found.groupdict().items() if value is not None}
    return None


def why_refused(method: str, path: str) -> tuple[str, str]:
    """(sentence, what to do) for a request without a pass."""
    if _CODE_WHEN_LOADED.search(path):
        return "A file that runs code when it is loaded is not taken", "Log the model in its native format."
    for pattern, sentence, hint in _REASONS:
        if pattern.fullmatch(path):
            return sentence, hint
    return (
        f"{method} {path[:200]} is not on the list of what this proxy lets through",
        "Reads, run logging and descriptions of models pass; promotions go through Capstan.",
    )
