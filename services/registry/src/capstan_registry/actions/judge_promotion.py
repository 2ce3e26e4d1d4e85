"""Have a worker let every gate judge a promotion."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from capstan_contracts.events import GateFigure
from capstan_registry.actions.promotion_case import PromotionCase
from capstan_registry.domain.jobs import (
    GateNeeds,
    GatesToAsk,
    JudgedPromotion,
    PromotionToJudge,
    VersionFiles,
    VersionObject,
)
from capstan_registry.domain.verdict import no_quality
from capstan_registry.tables import VersionRow
from capstan_servicekit.errors import Damaged, NotFound
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.pool import JobPool, ProgressReport
from capstan_servicekit.objects.port import ObjectStore

JUDGE: Final = JobKind("platform", "capstan_registry.gates.decide:decide", PromotionToJudge, JudgedPromotion)
NEEDS: Final = JobKind("platform", "capstan_registry.gates.decide:needs", GatesToAsk, GateNeeds)


class JudgePromotion:
    """The figures of all gates, computed outside of any transaction; the item-level scores become an object."""

    def __init__(self, jobs: JobPool, objects: ObjectStore, *, timeout_s: float, resamples: int) -> None:
        self._jobs, self._objects = jobs, objects
        self._timeout_s, self._resamples = timeout_s, resamples

    async def __call__(self, project: str, case: PromotionCase, progress: ProgressReport) -> list[GateFigure]:
        """In the order of the gates. JobFailed, InvalidData, NotFound."""
        async with self._jobs.scratch() as scratch:
            given = await self._given(project, case, scratch)
            judged = await self._jobs.call(
                JUDGE,
                given,
                project=project,
                scratch=scratch,
                readable=readable(given),
                timeout_s=self._timeout_s,
                progress=progress,
            )
            evaluation = (
                await self._objects.put_file(project, made_file(scratch, judged.items)) if judged.items else None
            )
        figures = [GateFigure.model_validate(figure) for figure in judged.figures]
        if case.loop.loop.spec.quality == "none":
            figures.append(no_quality(case.candidate.version))
        if evaluation is None:
            return figures
        return [
            figure.model_copy(update={"figures": figure.figures | {"evaluation": evaluation}}) for figure in figures
        ]

    async def _given(self, project: str, case: PromotionCase, scratch: Path) -> PromotionToJudge:
        spec, approval = case.loop.loop.spec, case.promotion.approval
        gates = [gate.model_dump(mode="json", by_alias=True) for gate in spec.gates]
        needed = await self._jobs.call(
            NEEDS, GatesToAsk(gates), project=project, scratch=scratch, timeout_s=self._timeout_s
        )
        champions = await self._champions(project, case) if needed.champions else []
        return PromotionToJudge(
            candidate=await self._candidate(project, case.candidate, with_set=needed.champions),
            champion=champions[0] if champions else None,
            former=champions[1:],
            event_time=spec.dataset.event_time,
            gates=gates,
            definitions=case.loop.definitions.model_dump(mode="json", by_alias=True),
            task=spec.training.task,
            requested_by=case.promotion.requested_by,
            approval=approval.model_dump(mode="json") if approval else None,
            resamples=self._resamples,
        )

    async def _champions(self, project: str, case: PromotionCase) -> list[VersionFiles]:
        """The champion first, then those before it; empty while there is none."""
        versions = (case.champion, *case.former) if case.champion else ()
        return list(await asyncio.gather(*(self._files(project, version) for version in versions)))

    async def _candidate(self, project: str, version: VersionRow, *, with_set: bool) -> VersionFiles:
        """NotFound without its package: not every gate opens it, and nobody may crown what cannot be served."""
        files = await self._files(project, version, with_set=with_set)
        if files["package"] is None:
            raise NotFound(
                f"the package of version {version.version} of {version.model!r} is gone",
                hint="Restore the object store, or train the model again.",
            )
        return files

    async def _files(self, project: str, version: VersionRow, *, with_set: bool = True) -> VersionFiles:
        """What is gone is told as gone: the gates say what follows from that."""
        digests = (version.package, version.holdout, version.training_set if with_set else None)
        package, holdout, training_set = await asyncio.gather(*(self._path(project, digest) for digest in digests))
        files = VersionFiles(
            version=version.version, package=package, holdout=holdout, training_set=training_set, gone=[]
        )
        names: tuple[VersionObject, ...] = ("package", "holdout", "training_set")
        files["gone"] = [name for name, digest in zip(names, digests, strict=True) if digest and files[name] is None]
        return files

    async def _path(self, project: str, digest: str | None) -> str | None:
        if digest is None:
            return None
        try:
            return str(await self._objects.local_path(project, digest))
        except (NotFound, Damaged):
            return None


def readable(given: PromotionToJudge) -> list[str]:
    """The files that the job is given."""
    versions = [given.candidate, *([given.champion] if given.champion else []), *given.former]
    files = [file for version in versions for file in (version["package"], version["holdout"], version["training_set"])]
    return [file for file in files if file is not None]
