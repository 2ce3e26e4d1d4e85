"""Candidate and a champion on the rows that neither has learned: what the rows show, and which former one is best."""

from __future__ import annotations

from dataclasses import dataclass

from capstan_contracts.kinds.gates import ChampionGate
from capstan_evaluation.compare import compare
from capstan_evaluation.errors import EvaluationError
from capstan_evaluation.kinds import find
from capstan_evaluation.noninferiority import LEAST, NonInferiority, as_good
from capstan_evaluation.sample import Sample
from capstan_registry.gates.evidence.contest import Rival
from capstan_registry.gates.evidence.evidence import Evidence
from capstan_registry.gates.metric_value import metric_value
from capstan_registry.jobs.scoring import Unusable


@dataclass(frozen=True, eq=False)
class Match:
    """Candidate and one champion: their metrics on the same rows, and what the rows show."""

    rival: Rival
    candidate: float
    champion: float
    result: NonInferiority
    undefined: int


def match_of(evidence: Evidence, spec: ChampionGate, rival: Rival) -> Match:
    """Unusable where the metric is not defined on the rows, or in most resamples of them."""
    metric = find(spec.metric)
    new, old = metric_value(metric, rival.candidate), metric_value(metric, rival.champion)
    comparison = compare(
        metric,
        rival.candidate,
        rival.champion,
        resamples=evidence.resamples,
        progress=lambda done, total: evidence.progress(done, total, "resampling"),
    )
    if 2 * comparison.undefined > evidence.resamples:
        raise Unusable(f"{metric.name} is not defined in {comparison.undefined} of {evidence.resamples} resamples")
    result = as_good(
        comparison,
        rival.candidate,
        difference=metric.oriented(new) - metric.oriented(old),
        margin=metric.margin.of(old) if spec.margin is None else spec.margin,
        confidence=spec.confidence,
    )
    return Match(rival, new, old, result, comparison.undefined)


def best_former(evidence: Evidence, spec: ChampionGate) -> tuple[Match | None, list[str], list[int]]:
    """The former champion that the candidate falls behind most, why others were not compared, and which were.

    Which one that is is asked only of those with rows enough for a bound to be believed: on a handful of rows it would
    be chance, and refuse.
    """
    metric, reasons, behind = find(spec.metric), list[str](), list[tuple[float, Rival]]()
    for former in evidence.former(spec.look_back):
        if isinstance(former, Unusable):
            reasons.append(str(former))
            continue
        new, old = metric.value(former.candidate), metric.value(former.champion)
        if former.candidate.rarest < LEAST:
            reasons.append(f"version {former.version}: too few rows in common, {_handful(former.candidate)}")
        elif new is None or old is None:
            reasons.append(f"version {former.version}: {metric.why_undefined(former.candidate)}")
        else:
            behind.append((metric.oriented(old) - metric.oriented(new), former))
    looked_at = [rival.version for _, rival in behind]
    for _, rival in sorted(behind, key=lambda entry: entry[0], reverse=True):
        try:
            return match_of(evidence, spec, rival), reasons, looked_at
        except (Unusable, EvaluationError) as reason:
            reasons.append(f"version {rival.version}: {reason}")
            looked_at.remove(rival.version)
    return None, reasons, looked_at


def _handful(sample: Sample) -> str:
    of_class = " of the rarer class" if sample.rarest < sample.rows else ""
    return f"{sample.rarest}{of_class} of {sample.rows}"
