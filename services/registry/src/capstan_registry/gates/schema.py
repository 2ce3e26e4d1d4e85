"""What the package reads is what the loop serves."""

from __future__ import annotations

from collections.abc import Mapping

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.family import nearest
from capstan_contracts.kinds.gate_figures import SchemaFigures
from capstan_contracts.kinds.gates import SchemaGate
from capstan_contracts.loop import FeatureDefinitions
from capstan_packages.signature import REQUEST, InputField, Signature
from capstan_registry.gates.evidence.evidence import Evidence, Need

SEPARATOR = "__"
"""Between view and column in the name of an input that is looked up: `weather__temp`."""


class SchemaKind:
    """Refuses when an input of the package is not served under its name and dtype, and names the column."""

    spec = SchemaGate

    def needs(self, spec: SchemaGate) -> frozenset[Need]:
        """The package's signature and the loop's features."""
        return frozenset((Need.PACKAGE, Need.FEATURES))

    def columns(self, spec: SchemaGate) -> frozenset[str]:
        """None: it reads no holdout."""
        return frozenset()

    def judge(self, evidence: Evidence, spec: SchemaGate) -> GateFigure:
        """Figures as in SchemaFigures."""
        signature = evidence.package.header.signature
        broken = misfits(signature, evidence.features)
        figures: SchemaFigures = {"inputs": len(signature.inputs), "broken": broken}
        more = f" And {len(broken) - 1} more." if len(broken) > 1 else ""
        served = f"All {len(signature.inputs)} inputs of the package are served, by name and dtype."
        return GateFigure(
            gate=spec.title,
            kind=spec.kind,
            passed=not broken,
            figures=dict(figures),
            sentence=f"Not served as the package reads it: {broken[0]}.{more}" if broken else served,
        )


def misfits(signature: Signature, features: FeatureDefinitions) -> list[str]:
    """A sentence per input that the features do not serve; empty when all fit."""
    served = {REQUEST: {column.name: column.dtype for column in features.service.request}}
    read = {lookup.view for lookup in features.service.lookups}
    served |= {
        view.name: {column.name: column.dtype for column in view.columns}
        for view in features.views
        if view.name in read
    }
    sentences = [_misfit(field, served) for field in signature.inputs]
    return [sentence for sentence in sentences if sentence is not None]


def _misfit(field: InputField, served: Mapping[str, Mapping[str, str]]) -> str | None:
    where = "the request" if field.source == REQUEST else f"view {field.source!r}"
    columns = served.get(field.source)
    if columns is None:
        return f"column {field.name!r} comes from {where}, which the feature service does not look up"
    name = field.name.removeprefix(f"{field.source}{SEPARATOR}")
    if name not in columns:
        close = nearest(name, tuple(columns))
        return f"column {name!r} is not in {where}" + (f", which has {close!r}" if close else "")
    if columns[name] != field.dtype:
        return f"column {name!r} is {columns[name]} in {where} and {field.dtype} in the package"
    return None


SCHEMA = SchemaKind()
