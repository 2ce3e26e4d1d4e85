"""No worse than the champion on the same holdout."""

from __future__ import annotations

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gate_figures import ChampionFigures
from capstan_contracts.kinds.gates import ChampionGate
from capstan_evaluation.compare import METHOD, compare
from capstan_evaluation.kinds import find
from capstan_registry.gates.evidence.evidence import Evidence, Need
from capstan_registry.gates.metric_value import metric_value
from capstan_registry.jobs.scoring import Unusable


class ChampionKind:
    """Refuses when the candidate is worse than the champion by more than the margin, with the stated confidence."""

    spec = ChampionGate

    def needs(self, spec: ChampionGate) -> frozenset[Need]:
        """Both scores and the labels."""
        return frozenset((Need.HOLDOUT, Need.CANDIDATE, Need.CHAMPION))

    def columns(self, spec: ChampionGate) -> frozenset[str]:
        """None besides the label."""
        return frozenset()

    def judge(self, evidence: Evidence, spec: ChampionGate) -> GateFigure:
        """`observed` is the candidate's metric, `bound` the champion's; figures as in ChampionFigures."""
        metric, confidence, margin = find(spec.metric), spec.confidence, spec.margin
        candidate, champion = evidence.candidate, evidence.champion
        mine = metric_value(metric, candidate)
        if champion is None:
            return _first(spec, mine, {"rows": candidate.rows})
        theirs = metric_value(metric, champion)
        found = compare(
            metric,
            candidate,
            champion,
            resamples=evidence.resamples,
            progress=lambda done, total: evidence.progress(done, total, "resampling"),
        )
        if 2 * found.undefined > evidence.resamples:
            raise Unusable(f"{metric.name} is not defined in {found.undefined} of {evidence.resamples} resamples")
        upper = found.upper_bound(confidence)
        passed = upper >= -margin
        figures: ChampionFigures = {
            "rows": candidate.rows,
            "champion": theirs,
            "difference": metric.oriented(mine) - metric.oriented(theirs),
            "lower": found.lower_bound(confidence),
            "upper": upper,
            "confidence": confidence,
            "margin": margin,
            "resamples": evidence.resamples,
            "undefined_resamples": found.undefined,
            "method": METHOD,
        }
        return GateFigure(
            gate=spec.title,
            kind=spec.kind,
            passed=passed,
            observed=mine,
            bound=theirs,
            figures=dict(figures),
            sentence=(
                f"{metric.name} is {mine:.4f}, the champion's is {theirs:.4f} on the same {candidate.rows} rows. "
                f"With {confidence:.0%} confidence candidate - champion, more being better, is at most {upper:+.4f} "
                f"(paired bootstrap, {evidence.resamples} resamples): "
                + ("not " if passed else "")
                + f"worse than the champion by more than {margin:g}."
            ),
        )


def _first(spec: ChampionGate, observed: float, figures: ChampionFigures) -> GateFigure:
    sentence = "There is no champion yet, so there is nothing to be worse than."
    return GateFigure(
        gate=spec.title, kind=spec.kind, passed=True, observed=observed, figures=dict(figures), sentence=sentence
    )


CHAMPION = ChampionKind()
