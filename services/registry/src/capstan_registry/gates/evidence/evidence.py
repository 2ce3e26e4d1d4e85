"""The evidence of one promotion: made when it is first asked for, once, and only for gates that declared the need."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import TypeVar, cast

from capstan_contracts.loop import FeatureDefinitions
from capstan_contracts.rest.registry import ApprovalGiven
from capstan_evaluation.arrays import Floats
from capstan_evaluation.sample import Sample
from capstan_packages.models import ModelPackage
from capstan_registry.gates.evidence.case import Case, Contender
from capstan_registry.gates.evidence.champions import Champions
from capstan_registry.gates.evidence.contest import Contest, Rival
from capstan_registry.gates.evidence.holdout import read_holdout
from capstan_registry.gates.evidence.latency import LatencyRun, measure_latency
from capstan_registry.jobs.scoring import Holdout, Unusable, open_package, scored

T = TypeVar("T")


class Need(StrEnum):
    """The names of the evidence that there is."""

    PACKAGE = "package"
    PACKAGE_BYTES = "package-bytes"
    HOLDOUT = "holdout"
    CANDIDATE = "candidate-scores"
    CHAMPION = "champion-scores"
    LATENCY = "latency"
    FEATURES = "features"
    APPROVAL = "approval"


class UndeclaredNeed(Exception):
    """A gate reads evidence that its `needs` do not name: a mistake in the gate."""


class Evidence:
    """What gates judge by. What cannot be made raises `Unusable` with the reason, each time it is asked for."""

    def __init__(self, case: Case) -> None:
        self._case, self._champions = case, Champions(case)
        self._whole = self
        self._allowed: Collection[Need] = frozenset(Need)
        self._made: dict[tuple[object, ...], object] = {}

    def limited(self, needs: Collection[Need]) -> Evidence:
        """The same evidence for one gate: anything but `needs` is an UndeclaredNeed."""
        view = Evidence(self._case)
        view._whole, view._allowed, view._made = self._whole, needs, self._made
        return view

    @property
    def package(self) -> ModelPackage:
        """The candidate's package."""
        return self._ask(Need.PACKAGE, lambda whole: whole._open_candidate())

    @property
    def package_bytes(self) -> int:
        """The size of the candidate's package."""
        return self._ask(Need.PACKAGE_BYTES, lambda whole: whole._package_bytes())

    @property
    def holdout(self) -> Holdout:
        """The pinned holdout."""
        return self._ask(Need.HOLDOUT, lambda whole: whole._read_holdout())

    @property
    def candidate(self) -> Sample:
        """The labels of the holdout and what the candidate predicts for its rows."""
        return self._ask(Need.CANDIDATE, lambda whole: scored(whole.package, whole.holdout, "candidate"))

    @property
    def rival(self) -> Rival | None:
        """Candidate and champion on the rows that neither has learned; None while there is no champion."""
        return self._ask(Need.CHAMPION, lambda whole: whole._rival(), "champion")

    def former(self, look_back: int) -> list[Rival | Unusable]:
        """The same of the champions before it, newest first, at most so many; of each the reason if there is none."""
        rivals = self._ask(Need.CHAMPION, lambda whole: [*map(whole._former, self._case.former)], "former")
        return rivals[:look_back]

    @property
    def features(self) -> FeatureDefinitions:
        """The feature service that the loop serves, with its views."""
        return self._ask(Need.FEATURES, lambda whole: self._case.definitions)

    @property
    def requested_by(self) -> str:
        """Who asked for the promotion."""
        return self._ask(Need.APPROVAL, lambda whole: self._case.requested_by, "requested by")

    @property
    def approval(self) -> ApprovalGiven | None:
        """What a person answered; None while nobody has."""
        return self._ask(Need.APPROVAL, lambda whole: self._case.approval)

    def latency(self, predictions: int, warm_up: int) -> LatencyRun:
        """Single predictions of the candidate on this machine."""
        return self._ask(
            Need.LATENCY,
            lambda whole: measure_latency(whole.package, whole.holdout, predictions, warm_up),
            predictions, warm_up,
        )  # fmt: skip

    @property
    def resamples(self) -> int:
        """How many resamples a bootstrap takes."""
        return self._case.resamples

    def progress(self, done: int, total: int, message: str) -> None:
        """Tell the service how far a long judgement is."""
        self._case.progress(done, total, message)

    def scores(self) -> tuple[Holdout, dict[str, Floats]] | None:
        """The rows and the predictions that were made on them so far; None when nothing was scored."""
        contest, champion = self._made.get((Need.CHAMPION,)), self._case.champion
        if isinstance(contest, Contest) and contest.scores:
            names = {self._case.candidate.version: "candidate"} | ({champion.version: "champion"} if champion else {})
            named = {names.get(version, f"version_{version}"): scores for version, scores in contest.scores.items()}
            return contest.rows, dict(sorted(named.items()))
        candidate = self._made.get((Need.CANDIDATE,))
        return (self._whole.holdout, {"candidate": candidate.predictions}) if isinstance(candidate, Sample) else None

    def _ask(self, need: Need, make: Callable[[Evidence], T], *arguments: object) -> T:
        if need not in self._allowed:
            raise UndeclaredNeed(f"the gate reads {need.value!r}, which its needs do not name")
        key = (need, *arguments)
        if key not in self._made:
            try:
                self._made[key] = make(self._whole)
            except Unusable as reason:
                self._made[key] = reason
        made = self._made[key]
        if isinstance(made, Unusable):
            raise made
        return cast(T, made)

    def _open_candidate(self) -> ModelPackage:
        package, task = open_package(self._case.candidate.package, "candidate"), self._case.task
        if task not in (None, package.header.task):
            raise Unusable(
                f"the package of the candidate is a model of the task {package.header.task!r}, and the loop says "
                f"`training.task: {task}`: correct the one that is wrong"
            )
        return package

    def _package_bytes(self) -> int:
        if (package := self._case.candidate.package) is None:
            raise Unusable("the package of the candidate is gone")
        return package.stat().st_size

    def _read_holdout(self) -> Holdout:
        """Once for all gates, hence with what champions read, too."""
        columns = self._case.columns | self._champions.columns()
        return read_holdout(self._case.candidate, self.package, columns)

    def _contest(self) -> Contest:
        return self._ask(Need.CHAMPION, lambda whole: whole._make_contest())

    def _make_contest(self) -> Contest:
        return Contest(self._case, self._champions, self.package, self.holdout, self.candidate)

    def _rival(self) -> Rival | None:
        return None if self._case.champion is None else self._contest().rival(self._case.champion)

    def _former(self, contender: Contender) -> Rival | Unusable:
        try:
            return self._contest().rival(contender)
        except Unusable as reason:
            return Unusable(f"version {contender.version}: {reason}")
