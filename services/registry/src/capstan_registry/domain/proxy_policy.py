"""What the MLflow proxy lets through: an allow-list of its REST endpoints with the role that each needs.

Deny by default: an endpoint that is not listed, also one that a newer MLflow brings, is refused. (CVE-2026-0545 and
CVE-2026-3198 were endpoints that a deny-list had forgotten.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from capstan_contracts.roles import Role


class Guard(StrEnum):
    """A further look at query or body before a request goes on."""

    ARTIFACT_QUERY = "artifact-query"
    EXPERIMENT = "experiment"
    MODEL = "model"
    MODEL_TAG = "model-tag"
    ALIAS = "alias"
    NEW_VERSION = "new-version"


@dataclass(frozen=True, slots=True)
class Pass:
    """A request may go on: for whom, after which look. `prefixed`: MLflow serves it under its static prefix."""

    role: Role
    guard: Guard | None = None
    upload: bool = False
    artifact: bool = False
    prefixed: bool = True


_READS: Final = """
GET  experiments/get
GET  experiments/get-by-name
GET  experiments/search
POST experiments/search
POST experiments/search-datasets
GET  runs/get
POST runs/search
GET  metrics/get-history
GET  metrics/get-history-bulk
GET  metrics/get-history-bulk-interval
GET  artifacts/list                             artifact-query
GET  registered-models/get
GET  registered-models/search
GET  registered-models/get-latest-versions
POST registered-models/get-latest-versions
GET  registered-models/alias
GET  model-versions/get
GET  model-versions/search
GET  model-versions/get-download-uri
GET  logged-models/{id}
POST logged-models/search
GET  logged-models/{id}/artifacts/directories
GET  server-info
GET  ui-telemetry
GET  workspaces
GET  datasets/search
POST datasets/search
POST traces/search
GET  traces/{id}
GET  traces/get
"""

_WRITES: Final = """
POST   experiments/create                       experiment
POST   experiments/update
POST   experiments/set-experiment-tag
POST   runs/create
POST   runs/update
POST   runs/log-metric
POST   runs/log-parameter
POST   runs/set-tag
POST   runs/delete-tag
POST   runs/log-batch
POST   runs/log-inputs
POST   runs/log-model
POST   runs/outputs
POST   logged-models
PATCH  logged-models/{id}
POST   logged-models/{id}/params
PATCH  logged-models/{id}/tags
DELETE logged-models/{id}/tags/{key}
POST   registered-models/create                 model
PATCH  registered-models/update                 model
POST   registered-models/set-tag                model-tag
DELETE registered-models/delete-tag             model-tag
POST   registered-models/alias                  alias
DELETE registered-models/alias                  alias
POST   model-versions/create                    new-version
PATCH  model-versions/update                    model
POST   model-versions/set-tag                   model-tag
DELETE model-versions/delete-tag                model-tag
"""

_API: Final = r"(?:ajax-)?api/[23]\.0/mlflow/"
_SEGMENT: Final = r"[^/]{1,250}"
_FILE: Final = r"[\w.@=+-][\w.@=+ -]*"
_ARTIFACT: Final = (
    r"(?:ajax-)?api/2\.0/mlflow-artifacts/artifacts/"
    r"\d{1,20}/(?:[0-9a-f]{32}|models/m-[0-9a-f]{32})/artifacts/"
    rf"(?:{_FILE}/)*{_FILE}"
)
_CODE_WHEN_LOADED: Final = re.compile(r"\.(?:pkl|pickle|joblib|dill|cloudpickle|pt|pth)$", re.IGNORECASE)


def _table(text: str, role: Role) -> list[tuple[str, re.Pattern[str], Pass]]:
    endpoints = []
    for line in text.strip().splitlines():
        method, template, *guard = line.split()
        pattern = re.sub(r"\\\{\w+\\\}", lambda _: _SEGMENT, re.escape(template))
        endpoints.append((method, re.compile(_API + pattern), Pass(role, Guard(guard[0]) if guard else None)))
    return endpoints


_PAGE: Final = Pass(Role.VIEWER)
_ALLOWED: Final[list[tuple[str, re.Pattern[str], Pass]]] = [
    ("GET", re.compile(r"|static-files/.+|version|health"), _PAGE),
    # The page's own queries; MLflow's GraphQL schema has no resolver that changes anything.
    ("POST", re.compile(r"graphql"), _PAGE),
    ("GET", re.compile(r"get-artifact"), Pass(Role.VIEWER, Guard.ARTIFACT_QUERY, artifact=True)),
    ("GET", re.compile(_ARTIFACT), Pass(Role.VIEWER, artifact=True, prefixed=False)),
    ("PUT", re.compile(_ARTIFACT), Pass(Role.OPERATOR, upload=True, artifact=True, prefixed=False)),
    ("GET", re.compile(r"(?:ajax-)?api/2\.0/mlflow-artifacts/artifacts"), Pass(Role.VIEWER, Guard.ARTIFACT_QUERY)),
    *_table(_READS, Role.VIEWER),
    *_table(_WRITES, Role.OPERATOR),
]

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


def look_up(method: str, path: str) -> Pass | None:
    """The pass of a request, or None: refuse."""
    if method == "PUT" and _CODE_WHEN_LOADED.search(path):
        return None
    return next((allowed for verb, pattern, allowed in _ALLOWED if verb == method and pattern.fullmatch(path)), None)


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
