"""Single predictions of the package are quick enough."""

from __future__ import annotations

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gate_figures import LatencyFigures
from capstan_contracts.kinds.gates import LatencyGate
from capstan_registry.gates.evidence.evidence import Evidence, Need


class LatencyKind:
    """Refuses when a percentile misses its bound on the machine that judges; the figures name the machine."""

    spec = LatencyGate

    def needs(self, spec: LatencyGate) -> frozenset[Need]:
        """A run of single predictions."""
        return frozenset((Need.LATENCY,))

    def columns(self, spec: LatencyGate) -> frozenset[str]:
        """None besides what the candidate reads."""
        return frozenset()

    def judge(self, evidence: Evidence, spec: LatencyGate) -> GateFigure:
        """`observed` and `bound` in milliseconds, of p99 if it is bound, else of p50; figures as in LatencyFigures."""
        run = evidence.latency(spec.predictions, spec.warm_up)
        bounds = [("p50", run.p50_ms, spec.p50_ms), ("p99", run.p99_ms, spec.p99_ms)]
        bound = [(name, took, limit) for name, took, limit in bounds if limit is not None]
        figures: LatencyFigures = {
            "p50_ms": run.p50_ms,
            "p99_ms": run.p99_ms,
            "predictions": spec.predictions,
            "warm_up": spec.warm_up,
            "rows": run.rows,
            "machine": run.machine,
        }
        asked = " and ".join(f"{name} of at most {limit:g} ms" for name, _, limit in bound)
        return GateFigure(
            gate=spec.title,
            kind=spec.kind,
            passed=all(took <= limit for _, took, limit in bound),
            observed=bound[-1][1],
            bound=bound[-1][2],
            figures=dict(figures),
            sentence=(
                f"A single prediction takes {run.p50_ms:.3f} ms (p50) and {run.p99_ms:.3f} ms (p99), "
                f"over {spec.predictions} predictions of {run.rows} rows after {spec.warm_up} to warm up, "
                f"on {run.machine}; {asked} is asked for."
            ),
        )


LATENCY = LatencyKind()
