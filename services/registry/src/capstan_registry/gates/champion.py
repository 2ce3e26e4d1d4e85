"""Shown to be no worse than the champion by more than a margin, on rows that neither has learned."""

from __future__ import annotations

from capstan_contracts.events import GateFigure
from capstan_contracts.kinds.gate_figures import ChampionFigures
from capstan_contracts.kinds.gates import ChampionGate
from capstan_evaluation.kinds import find
from capstan_evaluation.noninferiority import passes
from capstan_registry.gates.champion_match import best_former, match_of
from capstan_registry.gates.champion_words import compared, decided, described
from capstan_registry.gates.evidence.evidence import Evidence, Need
from capstan_registry.gates.metric_value import metric_value


class ChampionKind:
    """Passes on evidence alone: of few rows nothing can be shown, and then the champion stays.

    The candidate is compared with the champion, and with the best of the champions before it, so that many small steps
    down do not add up. One that is shown to be better than the champion passes, whatever was before.
    """

    spec = ChampionGate

    def needs(self, spec: ChampionGate) -> frozenset[Need]:
        """Both scores and the labels."""
        return frozenset((Need.HOLDOUT, Need.CANDIDATE, Need.CHAMPION))

    def columns(self, spec: ChampionGate) -> frozenset[str]:
        """None besides the label and the time of the rows."""
        return frozenset()

    def judge(self, evidence: Evidence, spec: ChampionGate) -> GateFigure:
        """`observed` is the candidate's metric, `bound` the champion's; figures as in ChampionFigures."""
        rival = evidence.rival
        if rival is None:
            return _first(spec, metric_value(find(spec.metric), evidence.candidate), evidence.candidate.rows)
        match = match_of(evidence, spec, rival)
        best, reasons, looked_at = best_former(evidence, spec)
        before = best.result.answer if best else None
        passed = passes(match.result.answer, before, tie=spec.tie_break == "newer")
        figures: ChampionFigures = {
            "rows": match.result.rows,
            "tie_break": spec.tie_break,
            "against_champion": compared(match, evidence.resamples),
            "former": looked_at,
            "not_compared": reasons,
        }
        if best is not None:
            figures["against_best"] = compared(best, evidence.resamples)
        return GateFigure(
            gate=spec.title,
            kind=spec.kind,
            passed=passed,
            not_judged="refuses",
            observed=match.comparison.candidate,
            bound=match.comparison.champion,
            figures=dict(figures),
            sentence=" ".join((described(spec.metric, match), decided(spec, match, best))),
        )


def _first(spec: ChampionGate, observed: float, rows: int) -> GateFigure:
    sentence = "There is no champion yet, so there is nothing to be worse than."
    figures: ChampionFigures = {"rows": rows}
    return GateFigure(
        gate=spec.title, kind=spec.kind, passed=True, observed=observed, figures=dict(figures), sentence=sentence
    )


CHAMPION = ChampionKind()
