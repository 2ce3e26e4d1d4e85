"""Candidate and a champion on the rows that neither has learned: what the rows show, and which former one is best."""

from __future__ import annotations

from dataclasses import dataclass

from capstan_contracts.kinds.gates import ChampionGate
from capstan_evaluation import noninferiority
from capstan_evaluation.errors import EvaluationError
from capstan_evaluation.kinds import find
from capstan_evaluation.noninferiority import LEAST, NonInferiority, behind
from capstan_evaluation.sample import Sample
from capstan_registry.gates.evidence.contest import Rival
from capstan_registry.gates.evidence.evidence import Evidence
from capstan_registry.jobs.scoring import Unusable


@dataclass(frozen=True, eq=False)
class Match:
    """Candidate and one champion: their metrics on the same rows, and what the rows show."""

    rival: Rival
    comparison: noninferiority.Match

    @property
    def result(self) -> NonInferiority:
        """What the rows show."""
        return self.comparison.result


def match_of(evidence: Evidence, spec: ChampionGate, rival: Rival) -> Match:
    """EvaluationError where the metric is not defined on the rows, or in most resamples of them."""
    comparison = noninferiority.match(
        find(spec.metric),
        rival.candidate,
        rival.champion,
        margin=spec.margin,
        confidence=spec.confidence,
        resamples=evidence.resamples,
        progress=lambda done, total: evidence.progress(done, total, "resampling"),
    )
    return Match(rival, comparison)


def best_former(evidence: Evidence, spec: ChampionGate) -> tuple[Match | None, list[str], list[int]]:
    """The former champion that the candidate falls behind most, why others were not compared, and which were.

    Which one that is is asked only of those with rows enough for a bound to be believed: on a handful of rows it would
    be chance, and refuse.
    """
    metric, reasons, ahead = find(spec.metric), list[str](), list[tuple[float, Rival]]()
    for former in evidence.former(spec.look_back):
        if isinstance(former, Unusable):
            reasons.append(str(former))
        elif former.candidate.rarest < LEAST:
            reasons.append(f"version {former.version}: too few rows in common, {_handful(former.candidate)}")
        elif (deficit := behind(metric, former.candidate, former.champion)) is None:
            reasons.append(f"version {former.version}: {metric.why_undefined(former.candidate)}")
        else:
            ahead.append((deficit, former))
    looked_at = [rival.version for _, rival in ahead]
    for _, rival in sorted(ahead, key=lambda entry: entry[0], reverse=True):
        try:
            return match_of(evidence, spec, rival), reasons, looked_at
        except EvaluationError as reason:
            reasons.append(f"version {rival.version}: {reason}")
            looked_at.remove(rival.version)
    return None, reasons, looked_at


def _handful(sample: Sample) -> str:
    of_class = " of the rarer class" if sample.rarest < sample.rows else ""
    return f"{sample.rarest}{of_class} of {sample.rows}"
