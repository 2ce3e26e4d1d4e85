"""A metric on the pinned holdout reaches its bound."""

from __future__ import annotations

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gate_figures import MetricFigures
from capstan_contracts.kinds.gates import MetricGate
from capstan_evaluation.kinds import find
from capstan_registry.gates.evidence.evidence import Evidence, Need
from capstan_registry.gates.metric_value import metric_value


class MetricKind:
    """Refuses when the candidate's metric misses the bound, and when it is not defined."""

    spec = MetricGate

    def needs(self, spec: MetricGate) -> frozenset[Need]:
        """The candidate's scores and the labels."""
        return frozenset((Need.HOLDOUT, Need.CANDIDATE))

    def columns(self, spec: MetricGate) -> frozenset[str]:
        """None besides the label."""
        return frozenset()

    def judge(self, evidence: Evidence, spec: MetricGate) -> GateFigure:
        """`observed` against `bound`, both in the metric's unit; figures as in MetricFigures."""
        candidate = evidence.candidate
        value, bound = metric_value(find(spec.metric), candidate), spec.bound
        passed = value >= bound if spec.min is not None else value <= bound
        word = "at least" if spec.min is not None else "at most"
        figures: MetricFigures = {"rows": candidate.rows}
        return GateFigure(
            gate=spec.title,
            kind=spec.kind,
            passed=passed,
            observed=value,
            bound=bound,
            figures=dict(figures),
            sentence=(
                f"{spec.metric} is {value:.4f} on {candidate.rows} rows of the holdout; {word} {bound:g} is asked for."
            ),
        )


METRIC = MetricKind()
