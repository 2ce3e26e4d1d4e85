"""Have a worker let every gate judge a promotion."""

from __future__ import annotations

from typing import Final

from capstan_contracts.events import GateFigure
from capstan_registry.actions.promotion_case import PromotionCase
from capstan_registry.domain.jobs import JudgedPromotion, PromotionToJudge, VersionFiles
from capstan_registry.domain.verdict import no_quality
from capstan_registry.tables import VersionRow
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.pool import JobPool, ProgressReport
from capstan_servicekit.objects.port import ObjectStore

JUDGE: Final = JobKind("platform", "capstan_registry.gates.decide:decide", PromotionToJudge, JudgedPromotion)


class JudgePromotion:
    """The figures of all gates, computed outside of any transaction; the item-level scores become an object."""

    def __init__(self, jobs: JobPool, objects: ObjectStore, *, timeout_s: float, resamples: int) -> None:
        self._jobs, self._objects = jobs, objects
        self._timeout_s, self._resamples = timeout_s, resamples

    async def __call__(self, project: str, case: PromotionCase, progress: ProgressReport) -> list[GateFigure]:
        """In the order of the gates. JobFailed, InvalidData."""
        async with self._jobs.scratch() as scratch:
            given = await self._given(project, case)
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

    async def _given(self, project: str, case: PromotionCase) -> PromotionToJudge:
        spec, approval = case.loop.loop.spec, case.promotion.approval
        return PromotionToJudge(
            candidate=await self._files(project, case.candidate),
            champion=await self._files(project, case.champion) if case.champion else None,
            former=[await self._files(project, version) for version in case.former],
            event_time=spec.dataset.event_time,
            gates=[gate.model_dump(mode="json", by_alias=True) for gate in spec.gates],
            definitions=case.loop.definitions.model_dump(mode="json", by_alias=True),
            task=spec.training.task,
            requested_by=case.promotion.requested_by,
            approval=approval.model_dump(mode="json") if approval else None,
            resamples=self._resamples,
        )

    async def _files(self, project: str, version: VersionRow) -> VersionFiles:
        """The package has to be there; of rows that are gone it is not known any more what was in them."""
        rows = {"holdout": version.holdout, "training_set": version.training_set}
        there = {
            name: await self._path(project, digest) if digest and await self._objects.exists(project, digest) else None
            for name, digest in rows.items()
        }
        return VersionFiles(
            version=version.version,
            package=await self._path(project, version.package),
            holdout=there["holdout"],
            training_set=there["training_set"],
        )

    async def _path(self, project: str, digest: str) -> str:
        return str(await self._objects.local_path(project, digest))


def readable(given: PromotionToJudge) -> list[str]:
    """The files that the job is given."""
    versions = [given.candidate, *([given.champion] if given.champion else []), *given.former]
    files = [file for version in versions for file in (version["package"], version["holdout"], version["training_set"])]
    return [file for file in files if file is not None]
