"""What a request at the MLflow proxy names: every id and name in its path, query and body, wherever it stands.

An endpoint may take an id in more than one place (a metric may name a logged model, an output a run), so all of them
are looked for by the name of their field instead of endpoint by endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """Kinds of things in MLflow that belong to a project."""

    EXPERIMENT = "experiment"
    EXPERIMENT_NAME = "experiment-name"
    RUN = "run"
    LOGGED_MODEL = "logged-model"
    TRACE = "trace"
    MODEL_NAME = "model-name"

    @property
    def is_name(self) -> bool:
        """Whether the project stands in it; that of an id is looked up."""
        return self in (Kind.EXPERIMENT_NAME, Kind.MODEL_NAME)

    @property
    def words(self) -> str:
        """How a sentence calls it."""
        return {Kind.EXPERIMENT_NAME: "experiment", Kind.MODEL_NAME: "registered model"}.get(
            self, self.value.replace("-", " ")
        )


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """Something of a project."""

    kind: Kind
    id: str


FIELDS: Final[Mapping[str, Kind]] = {
    "experiment_id": Kind.EXPERIMENT,
    "experiment_ids": Kind.EXPERIMENT,
    "experiment_name": Kind.EXPERIMENT_NAME,
    "new_name": Kind.EXPERIMENT_NAME,
    "run_id": Kind.RUN,
    "run_ids": Kind.RUN,
    "run_uuid": Kind.RUN,
    "source_run_id": Kind.RUN,
    "model_id": Kind.LOGGED_MODEL,
    "model_ids": Kind.LOGGED_MODEL,
    "trace_id": Kind.TRACE,
    "trace_ids": Kind.TRACE,
    "request_id": Kind.TRACE,
}
"""Fields that name a thing at every endpoint. A model is renamed by none that is let through, so `new_name` is an
experiment's."""

_SOURCE: Final = re.compile(
    r"runs:/(?P<run_id>[0-9a-f]{32})/.*|models:/(?P<model_id>m-[0-9a-f]{32})|mlflow-artifacts:/(?P<experiment_id>\d+)/.*"
)
_CAPITAL: Final = re.compile(r"(?<=[a-z])([A-Z])")


class UnclearName(ValueError):
    """A field that must hold an id holds something else."""


def things(
    names: Kind | None, path: Mapping[str, str], query: Mapping[str, list[str]], body: Mapping[str, object]
) -> frozenset[Thing]:
    """All that a request names; `names` decides what its field `name` means. UnclearName."""
    found = {Thing(FIELDS[field], value) for field, value in path.items() if field in FIELDS}
    found.update(_walk(query))
    found.update(_walk(body))
    for place in (query, body):
        if names is not None and names.is_name and "name" in place:
            found.update(_values(names, "name", place["name"]))
    source = _SOURCE.fullmatch(str(body.get("source")))
    if names is Kind.MODEL_NAME and source is not None:
        found.update(Thing(FIELDS[field], value) for field, value in source.groupdict().items() if value)
    return frozenset(found)


def _walk(value: object) -> Iterator[Thing]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            field = _CAPITAL.sub(lambda found: f"_{found[1].lower()}", str(key))
            if field in FIELDS:
                yield from _values(FIELDS[field], field, inner)
            else:
                yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _values(kind: Kind, field: str, value: object) -> Iterator[Thing]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, int) and not isinstance(one, bool) and kind is Kind.EXPERIMENT:
            yield Thing(kind, str(one))  # MLflow's page sends it as a number here and there
        elif isinstance(one, str) and one:
            yield Thing(kind, one)
        elif one not in (None, ""):
            raise UnclearName(field)
