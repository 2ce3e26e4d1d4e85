"""The further looks: what the body of a guarded request may say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from capstan_registry.domain import proxy_graphql
from capstan_registry.domain.model_names import CHAMPION_ALIAS, RESERVED_TAGS, looks_like, mlflow_name, project_of
from capstan_registry.domain.proxy_path import is_plain
from capstan_registry.domain.proxy_policy import Guard

_RUN: Final = re.compile(r"[0-9a-f]{32}")
_OWN_SOURCE: Final = re.compile(
    r"(?:models:/m-[0-9a-f]{32}|runs:/[0-9a-f]{32}/[\w./@=+-]+|mlflow-artifacts:/\d{1,20}/[\w./@=+-]+)"
)

_FOLDER: Final = re.compile(r"(?P<experiment_id>\d{1,20})(?:/.*)?")

_FIELDS: Final[Mapping[Guard, frozenset[str]]] = {
    Guard.EXPERIMENT: frozenset({"name", "artifact_location", "tags"}),
    Guard.MODEL: frozenset({"name", "version", "description", "tags", "deployment_job_id"}),
    Guard.MODEL_TAG: frozenset({"name", "version", "key", "value"}),
    Guard.ALIAS: frozenset({"name", "alias", "version"}),
    Guard.NEW_VERSION: frozenset({"name", "source", "run_id", "tags", "run_link", "description", "model_id"}),
}
"""What MLflow reads of a guarded body. Another spelling of a field (camel case) is refused, not interpreted."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused, and the right call to make. `shape`: the request itself is malformed."""

    sentence: str
    hint: str
    shape: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What a guard sees: query and body, and which MLflow names are models of ours."""

    query: Mapping[str, list[str]]
    body: Mapping[str, object]
    ours: Callable[[str], bool]


def check(guard: Guard, look: Look) -> Refusal | None:
    """None when the request may go on."""
    if guard in _FIELDS:
        unknown = sorted(set(look.body) - _FIELDS[guard])
        if unknown:
            return Refusal(
                f"The body has the unknown field {unknown[0]!r}", "Use MLflow's own field names.", shape=True
            )
        if guard is not Guard.EXPERIMENT and not isinstance(look.body.get("name"), str):
            return Refusal("The body names no model", "Set `name`.", shape=True)
    return _CHECKS[guard](look)


def folder(query: Mapping[str, list[str]]) -> Mapping[str, str]:
    """The id of the experiment whose artifacts are listed, out of a query that passed the look."""
    found = _FOLDER.fullmatch(query["path"][0])
    return found.groupdict() if found else {}


def _artifact_folder(look: Look) -> Refusal | None:
    given = look.query.get("path", [])
    if len(given) != 1 or not _FOLDER.fullmatch(given[0]):
        return Refusal("The query names no experiment's folder", "Set `path=<experiment id>/...`, once.", shape=True)
    return _artifact_query(look)


def _experiments(look: Look) -> Refusal | None:
    if not (look.query.get("experiment_ids") or look.body.get("experiment_ids")):
        return Refusal("The search names no experiment", "Set `experiment_ids`.", shape=True)
    return None


def _graphql(look: Look) -> Refusal | None:
    if (why := proxy_graphql.refusal(look.body)) is not None:
        return Refusal(why, "Use MLflow's REST API, or give the input in `variables`.", shape=True)
    return None


def _run(look: Look) -> Refusal | None:
    return _tags(look.body.get("tags"))


def _tag(look: Look) -> Refusal | None:
    return _tags([look.body])


def _artifact_query(look: Look) -> Refusal | None:
    for key, values in look.query.items():
        for value in values:
            if key in ("path", "artifact_path") and value and not is_plain(value):
                return Refusal("The artifact path is not plain", "Give a path below the run, without '..'.", shape=True)
            if key in ("run_id", "run_uuid") and value and not _RUN.fullmatch(value):
                return Refusal("The run id is not one of MLflow's", "Give 32 hex characters.", shape=True)
    return None


def _experiment(look: Look) -> Refusal | None:
    if look.body.get("artifact_location"):
        return Refusal("An experiment's artifacts lie where Capstan keeps them", "Leave artifact_location out.")
    return _tags(look.body.get("tags"))


def _model(look: Look) -> Refusal | None:
    return _tags(look.body.get("tags"))


def _alias(look: Look) -> Refusal | None:
    name, alias = str(look.body["name"]), look.body.get("alias")
    if not isinstance(alias, str):
        return Refusal("The body names no alias", "Set `alias`.", shape=True)
    if looks_like(alias) != CHAMPION_ALIAS:
        return None
    project = project_of(name)
    model = name.removeprefix(f"{project}.") if mlflow_name(project, "m") != "m" else name
    version = look.body.get("version", "<version>")
    return Refusal(
        f"The alias {CHAMPION_ALIAS!r} of {name!r} follows the ledger and is not moved by hand",
        f"Ask for a promotion: POST /v1/projects/{project}/models/{model}/versions/{version}/promotions "
        f"(`capstan models promote {model} {version}`).",
    )


def _new_version(look: Look) -> Refusal | None:
    name, source = str(look.body["name"]), look.body.get("source")
    if look.ours(name):
        return Refusal(
            f"Versions of {name!r} are registered by the runs of its loop",
            "Start a run: POST /v1/projects/{project}/runs of the training service (`capstan runs start LOOP`).",
        )
    if not isinstance(source, str) or not _OWN_SOURCE.fullmatch(source) or ".." in source.split("/"):
        return Refusal(
            "A version's source must be a model or a run of this server",
            "Log the model within a run and register `runs:/<run>/<path>` or `models:/m-<id>`.",
        )
    return _tags(look.body.get("tags"))


def _tags(tags: object) -> Refusal | None:
    for tag in tags if isinstance(tags, list) else []:
        key = tag.get("key") if isinstance(tag, dict) else None
        if isinstance(key, str) and looks_like(key).startswith(RESERVED_TAGS):
            return Refusal(f"Tags that begin with {RESERVED_TAGS!r} are written by Capstan", "Use another key.")
    return None


_CHECKS: Final[Mapping[Guard, Callable[[Look], Refusal | None]]] = {
    Guard.ARTIFACT_QUERY: _artifact_query,
    Guard.ARTIFACT_FOLDER: _artifact_folder,
    Guard.EXPERIMENTS: _experiments,
    Guard.GRAPHQL: _graphql,
    Guard.RUN: _run,
    Guard.TAG: _tag,
    Guard.EXPERIMENT: _experiment,
    Guard.MODEL: _model,
    Guard.MODEL_TAG: _tag,
    Guard.ALIAS: _alias,
    Guard.NEW_VERSION: _new_version,
}
