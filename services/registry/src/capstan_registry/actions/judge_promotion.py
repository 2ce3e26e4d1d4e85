"""Have a worker let every gate judge a promotion."""

from __future__ import annotations

from typing import Final

from capstan_contracts.events import GateFigure
from capstan_registry.actions.promotion_case import PromotionCase
from capstan_registry.domain.jobs import JudgedPromotion, PromotionToJudge, VersionFiles, VersionObject
from capstan_registry.domain.verdict import no_quality
from capstan_registry.tables import VersionRow
from capstan_servicekit.errors import NotFound
from capstan_servicekit.jobs.api import JobKind
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
            judged = await self._jobs.call(JUDGE, given, scratch=scratch, timeout_s=self._timeout_s, progress=progress)
            evaluation = await self._objects.put_file(project, scratch / judged.items) if judged.items else None
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
            candidate=await self._candidate(project, case.candidate),
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

    async def _candidate(self, project: str, version: VersionRow) -> VersionFiles:
        """NotFound without its package: not every gate opens it, and nobody may crown what cannot be served."""
        files = await self._files(project, version)
        if files["package"] is None:
            raise NotFound(
                f"the package of version {version.version} of {version.model!r} is gone",
                hint="Restore the object store, or train the model again.",
            )
        return files

    async def _files(self, project: str, version: VersionRow) -> VersionFiles:
        """What is gone is told as gone: the gates say what follows from that."""
        kept: dict[VersionObject, str | None] = {
            "package": version.package,
            "holdout": version.holdout,
            "training_set": version.training_set,
        }
        paths = {name: await self._path(project, digest) for name, digest in kept.items()}
        return VersionFiles(
            version=version.version,
            package=paths["package"],
            holdout=paths["holdout"],
            training_set=paths["training_set"],
            gone=[name for name, digest in kept.items() if digest is not None and paths[name] is None],
        )

    async def _path(self, project: str, digest: str | None) -> str | None:
        if digest is None:
            return None
        try:
            return str(await self._objects.local_path(project, digest))
        except NotFound:
            return None
