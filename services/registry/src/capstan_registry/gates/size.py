"""The package is no larger than asked for."""

from __future__ import annotations

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gate_figures import SizeFigures
from capstan_contracts.kinds.gates import SizeGate
from capstan_registry.gates.evidence.evidence import Evidence, Need


class SizeKind:
    """Bytes of the package as it is stored and sent."""

    spec = SizeGate

    def needs(self, spec: SizeGate) -> frozenset[Need]:
        """The size of the file; the package is not opened."""
        return frozenset((Need.PACKAGE_BYTES,))

    def columns(self, spec: SizeGate) -> frozenset[str]:
        """None: it reads no holdout."""
        return frozenset()

    def judge(self, evidence: Evidence, spec: SizeGate) -> GateFigure:
        """`observed` and `bound` in bytes."""
        size = evidence.package_bytes
        figures: SizeFigures = {"bytes": size}
        return GateFigure(
            gate=spec.title,
            kind=spec.kind,
            passed=size <= spec.max_bytes,
            observed=float(size),
            bound=float(spec.max_bytes),
            figures=dict(figures),
            sentence=f"The package has {size:,} bytes; at most {spec.max_bytes:,} are asked for.",
        )


SIZE = SizeKind()
