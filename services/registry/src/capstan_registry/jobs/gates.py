"""The job: score candidate and champion on the holdout, then let every gate judge.

Input: candidate and champion (paths of packages; champion may be null), holdout (path or null), gates (see
`domain.gates.plan`), resamples. Output: `figures`, and `items`, the file of item-level scores (null when nothing was
scored).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capstan_packages.models import ModelPackage
from capstan_registry.jobs.gate_kinds import Evidence, judge
from capstan_registry.jobs.metrics import Floats
from capstan_registry.jobs.scoring import Holdout, Unusable, open_holdout, open_package, score, write_items
from capstan_servicekit.jobs.api import Job

ITEMS = "items.parquet"


def decide(job: Job) -> dict[str, Any]:
    """Figures of every gate, in their order."""
    gates = job.input["gates"]
    job.progress(0, len(gates), "scoring the holdout")
    evidence = _evidence(job, gates)
    items = _write_items(job.scratch, evidence)
    figures = []
    for number, gate in enumerate(gates, start=1):
        figures.append(judge(evidence, gate).model_dump(mode="json"))
        job.progress(number, len(gates), gate["name"])
    return {"figures": figures, "items": items}


def _evidence(job: Job, gates: list[dict[str, Any]]) -> Evidence:
    package = _package(job.input["candidate"], "candidate")
    champion = _package(job.input["champion"], "champion") if job.input["champion"] else None
    wanted = {gate["spec"]["slice"] for gate in gates if "slice" in gate["spec"]}
    for known in (package, champion):
        if isinstance(known, ModelPackage):
            wanted |= {field.name for field in known.header.signature.inputs}
    holdout = _holdout(job.input["holdout"], package, wanted)
    return Evidence(
        package_=package,
        holdout_=holdout,
        candidate_=_scores(package, holdout, "candidate"),
        champion_=None if champion is None else _scores(champion, holdout, "champion"),
        resamples=job.input["resamples"],
        progress=job.progress,
    )


def _package(path: str, who: str) -> ModelPackage | Unusable:
    try:
        return open_package(Path(path), who)
    except Unusable as reason:
        return reason


def _holdout(path: str | None, package: ModelPackage | Unusable, wanted: set[str]) -> Holdout | Unusable:
    if isinstance(package, Unusable):
        return package
    if path is None:
        return Unusable("the run pinned no holdout")
    try:
        return open_holdout(Path(path), package.header, wanted)
    except Unusable as reason:
        return reason


def _scores(package: ModelPackage | Unusable, holdout: Holdout | Unusable, who: str) -> Floats | Unusable:
    if isinstance(package, Unusable):
        return package
    if isinstance(holdout, Unusable):
        return holdout
    try:
        return score(package, holdout, who)
    except Unusable as reason:
        return reason


def _write_items(scratch: Path, evidence: Evidence) -> str | None:
    found = {"candidate": evidence.candidate_, "champion": evidence.champion_}
    scores = {who: values for who, values in found.items() if values is not None and not isinstance(values, Unusable)}
    if isinstance(evidence.holdout_, Unusable) or not scores:
        return None
    write_items(scratch / ITEMS, evidence.holdout_, scores)
    return ITEMS
