"""Rules of feature definitions that can be told without looking at data. Each breach is a place and a rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from capstan_contracts.loop import FeatureDefinitions, FeatureServiceSpec, LoopSpec, ViewSpec
from capstan_feature_store.domain.derived import source_column

Breach = tuple[str, str]
LINEAGE = ("item_id", "label", "_file", "_row")
"""Columns of every training set beside those of the feature service."""


def breaches(definitions: FeatureDefinitions, spec: LoopSpec) -> list[Breach]:
    """Every broken rule, in the order of the definitions."""
    service = definitions.service
    broken: list[Breach] = []
    if spec.features is None and (definitions.views or service.lookups):
        broken.append(("views", "none, since the loop has no features: give spec.features, or leave the views out"))
    datasets = {spec.dataset.name, *(source.name for source in spec.sources)}
    names = [view.name for view in definitions.views]
    broken += [(f"views[{name}]", "a view is defined once") for name in _twice(names)]
    for view in definitions.views:
        broken += [(f"views[{view.name}].{place}", rule) for place, rule in _view(view, datasets)]
    broken += [(f"service.{place}", rule) for place, rule in _service(service)]
    broken += _lookups(definitions)
    broken += _output(definitions)
    return broken


def _view(view: ViewSpec, datasets: set[str]) -> Iterator[Breach]:
    if view.name.startswith("_"):
        yield "name", "begins with a letter"
    if view.dataset not in datasets:
        yield "dataset", f"one of the loop's datasets ({', '.join(sorted(datasets))}), not {view.dataset!r}"
    for key in view.keys:
        if key.dtype == "float64":
            yield f"keys[{key.name}].dtype", "a float64 is no key; use string, int64, bool or timestamp"
    for name in _twice(column.name for column in (*view.keys, *view.columns)):
        yield f"columns[{name}]", "keys and columns have different names, also when case is ignored"
    if view.ttl is not None and (view.ttl.total_seconds() < 1 or view.ttl.microseconds):
        yield "ttl", "a whole number of seconds, at least one"
    if not view.sql.strip():
        yield "sql", "one SELECT"


def _service(service: FeatureServiceSpec) -> Iterator[Breach]:
    request = {column.name: column.dtype for column in service.request}
    for name in _twice(column.name for column in service.request):
        yield f"request[{name}]", "a request column is named once, also when case is ignored"
    for name, expression in service.derived.items():
        source = source_column(expression)
        if source is None:
            yield f"derived.{name}", f"floor_hour(<request column>), not {expression!r}"
        elif request.get(source) != "timestamp":
            yield f"derived.{name}", f"{source!r} must be a request column of dtype timestamp"
        if name in request:
            yield f"derived.{name}", "has the name of a request column"
    for name in _twice(lookup.view for lookup in service.lookups):
        yield f"lookups[{name}]", "a view is looked up once"


def _lookups(definitions: FeatureDefinitions) -> Iterator[Breach]:
    service = definitions.service
    dtypes = {column.name: str(column.dtype) for column in service.request} | dict.fromkeys(
        service.derived, "timestamp"
    )
    views = {view.name: view for view in definitions.views}
    for lookup in service.lookups:
        for key in views[lookup.view].keys:
            column = lookup.keys[key.name]
            if dtypes[column] != key.dtype:
                place = f"service.lookups[{lookup.view}].keys.{key.name}"
                yield place, f"the key is {key.dtype} and {column!r} is {dtypes[column]}"


def _output(definitions: FeatureDefinitions) -> Iterator[Breach]:
    """A training set's columns must have different names."""
    service = definitions.service
    request = [column.name for column in service.request]
    names = [*LINEAGE, *request, *service.derived]
    if service.label_time not in request:
        names.append(service.label_time)
    looked_up = {lookup.view for lookup in service.lookups}
    for view in definitions.views:
        if view.name in looked_up:
            names += [f"{view.name}__{column}" for column in ("event_ts", *(column.name for column in view.columns))]
    for name in _twice(names):
        yield "service", f"two columns of a training set would be called {name!r}; rename one"


def _twice(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    repeated: list[str] = []
    for name in names:
        if name.lower() in seen:
            repeated.append(name)
        seen.add(name.lower())
    return repeated
