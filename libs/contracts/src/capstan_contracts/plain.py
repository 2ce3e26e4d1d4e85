"""A loop without entities and views: its feature service follows from the columns that its dataset declares.

The request columns are the declared columns, the keys and the event time, without the label and the time a row became
known (a caller knows neither). Keys are among them because labels are joined to predictions by them; whether a model
reads them is the recipe's business. Types must be declared: a signature must not depend on which file came first.
"""

from __future__ import annotations

from typing import Final

from capstan_contracts.loop import DType, FeatureDefinitions, FeatureServiceSpec, Loop, ViewColumn

_DTYPES: Final[dict[str, DType]] = {
    "int64": "int64",
    "float64": "float64",
    "string": "string",
    "bool": "bool",
    "timestamp": "timestamp",
    "date": "timestamp",
}


class NoPlainFeatures(ValueError):
    """A loop without features whose dataset does not say enough; `place` is the field to mend."""

    def __init__(self, place: str, rule: str) -> None:
        super().__init__(f"{place}: {rule}")
        self.place, self.rule = place, rule


def plain_definitions(loop: Loop) -> FeatureDefinitions:
    """The definitions of a loop that has no `features`; NoPlainFeatures where a type is missing or is no feature's."""
    dataset = loop.spec.dataset
    declared = {dataset.event_time: "timestamp", **dataset.columns}
    for key in dataset.keys:
        if key not in declared:
            rule = f"a loop without features declares the type of each key: `columns: {{{key}: string}}`"
            raise NoPlainFeatures(f"spec.dataset.columns.{key}", rule)
    left_out = {loop.spec.training.label, dataset.known_at}
    request = [
        ViewColumn(name=name, dtype=_dtype(name, declared_type))
        for name, declared_type in declared.items()
        if name not in left_out
    ]
    name = loop.metadata.name.replace("-", "_")
    service = FeatureServiceSpec(
        name=name if not name[0].isdigit() else f"_{name}"[:63],
        label_time=dataset.event_time,
        request=request,
        lookups=[],
    )
    return FeatureDefinitions(service=service, views=[])


def _dtype(name: str, declared: str) -> DType:
    if declared.startswith("decimal("):
        return "float64"
    if declared not in _DTYPES:
        rule = f"{declared} is stored, but no model reads it; without features, leave the column out of `columns`"
        raise NoPlainFeatures(f"spec.dataset.columns.{name}", rule)
    return _DTYPES[declared]
