"""The package holds formats that run no code when they are loaded."""

from __future__ import annotations

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gates import FormatGate
from capstan_registry.gates.evidence.evidence import Evidence, Need


class FormatKind:
    """Reading a package refuses everything that is not native, so what can be read passes."""

    spec = FormatGate

    def needs(self, spec: FormatGate) -> frozenset[Need]:
        """The package alone."""
        return frozenset((Need.PACKAGE,))

    def columns(self, spec: FormatGate) -> frozenset[str]:
        """None: it reads no holdout."""
        return frozenset()

    def judge(self, evidence: Evidence, spec: FormatGate) -> GateFigure:
        """No figures: it passes, or the package is unusable."""
        engine = evidence.package.header.engine
        sentence = f"The package holds a native {engine} model and JSON; nothing in it runs code when it is loaded."
        return GateFigure(gate=spec.title, kind=spec.kind, passed=True, sentence=sentence)


FORMAT = FormatKind()
