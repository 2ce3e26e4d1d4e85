"""Pin a training set and enqueue it; the same pins are the same training set."""

from __future__ import annotations

from dataclasses import dataclass

from capstan_contracts.errors import Problem
from capstan_contracts.loop import FeatureServiceSpec, ViewSpec
from capstan_contracts.rest.feature_store import TrainingSet, TrainingSetRequest
from capstan_contracts.work import Progress, State
from capstan_feature_store.actions.ports import Datasets
from capstan_feature_store.domain.versions import service_digest, training_set_id
from capstan_feature_store.domain.work import SetToBuild
from capstan_feature_store.tables import TrainingSetRow, service_row, views_at
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.idempotency import fingerprint, recall, remember
from capstan_servicekit.db.session import Database, ReadSession, WriteSession
from capstan_servicekit.errors import BadRequest, Damaged, NotFound, broken
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.work.queue import WorkQueue


def _work_of(row: TrainingSetRow) -> SetToBuild:
    return SetToBuild(row.id, row.attempt)


@dataclass(frozen=True)
class TrainingSets:
    """The resource `training-sets`."""

    database: Database
    work: WorkQueue
    datasets: Datasets
    objects: ObjectStore
    clock: Clock

    async def request(self, project: str, asked: TrainingSetRequest, key: str | None) -> TrainingSet:
        """The training set of these pins, enqueued when it is new or has failed."""
        request_print = fingerprint("training-set", asked.model_dump_json())
        async with self.database.write() as session:
            if (recalled := await recall(session, project, key, request_print)) is not None:
                return await self._of(session, await _row(session, project, recalled["id"]))
            kept_service = await service_row(session, project, asked.feature_service)
            service = FeatureServiceSpec.model_validate(kept_service.spec)
            view_versions = {lookup.view: kept_service.views[lookup.view] for lookup in service.lookups}
            views = await views_at(session, project, view_versions)
        versions = await self._pin_datasets(project, asked, views)
        pins = {
            "service": service_digest(service),
            "dataset": asked.dataset,
            "label": asked.label,
            "as_known": asked.as_known,
            "view_versions": view_versions,
            "dataset_versions": versions,
        }
        row = TrainingSetRow(
            project=project,
            id=training_set_id(project, pins),
            request=asked.model_copy(update={"dataset_version": versions[asked.dataset]}).model_dump(mode="json"),
            service=service.model_dump(mode="json"),
            view_versions=view_versions,
            dataset_versions=versions,
            checked=False,
            attempt=1,
            state=State.QUEUED,
            created_at=self.clock.now(),
        )
        lost = await self._lost(project, row.id)
        async with self.database.write() as session:
            kept = await self._keep(session, row, lost=lost)
            if await recall(session, project, key, request_print) is None:
                remember(session, project, key, request_print, {"id": kept.id}, self.clock.now())
            return await self._of(session, kept)

    async def _pin_datasets(
        self, project: str, asked: TrainingSetRequest, views: dict[str, ViewSpec]
    ) -> dict[str, str]:
        """Full versions of all datasets that are read."""
        others = {view.dataset for view in views.values()} - {asked.dataset}
        unknown = sorted(set(asked.sources) - others)
        if unknown:
            rule = f"one of the other datasets that the views read ({', '.join(sorted(others)) or 'none'})"
            raise BadRequest(f"sources names {unknown[0]!r}", errors=broken(f"sources.{unknown[0]}", rule))
        label = await self.datasets.manifest(project, asked.dataset, asked.dataset_version)
        versions = {asked.dataset: label.version}
        for name in sorted(others):
            if (given := asked.sources.get(name)) is not None:
                versions[name] = (await self.datasets.manifest(project, name, given)).version
            else:
                versions[name] = await self.datasets.latest(project, name)
        return versions

    async def _lost(self, project: str, id_: str) -> str | None:
        """The digest of this training set, made before, when its file is damaged or gone."""
        async with self.database.read() as session:
            row = await session.get(TrainingSetRow, (project, id_))
        if row is None or row.digest is None:
            return None
        try:
            await self.objects.local_path(project, row.digest)
        except (Damaged, NotFound):
            return row.digest
        return None

    async def _keep(self, session: WriteSession, row: TrainingSetRow, *, lost: str | None) -> TrainingSetRow:
        """The row of these pins, to be made when there is none, it failed, its file is `lost` or not to be trusted."""
        kept = await session.get(TrainingSetRow, (row.project, row.id))
        if kept is None:
            session.add(row)
            kept = row
        elif kept.state == State.FAILED or (
            kept.state == State.SUCCEEDED and (not kept.checked or (lost is not None and kept.digest == lost))
        ):
            kept.state, kept.problem, kept.attempt = State.QUEUED, None, kept.attempt + 1
            kept.digest = kept.rows = kept.unlabelled = None
        await session.flush()
        if kept.state == State.QUEUED:
            await self.work.add(session, _work_of(kept), project=kept.project)
        return kept

    async def get(self, project: str, id_: str) -> TrainingSet:
        """One training set; NotFound."""
        async with self.database.read() as session:
            return await self._of(session, await _row(session, project, id_))

    async def _of(self, session: ReadSession, row: TrainingSetRow) -> TrainingSet:
        state, progress = State(row.state), Progress()
        if not state.finished:
            status = await self.work.status(session, _work_of(row), project=row.project)
            if status is not None and not status.state.finished:
                state, progress = status.state, status.progress
        return TrainingSet(
            id=row.id,
            request=TrainingSetRequest.model_validate(row.request),
            state=state,
            progress=progress,
            problem=Problem.model_validate(row.problem) if row.problem else None,
            digest=row.digest,
            rows=row.rows,
            unlabelled=row.unlabelled,
            view_versions=row.view_versions,
            dataset_versions=row.dataset_versions,
        )


async def _row(session: ReadSession, project: str, id_: str) -> TrainingSetRow:
    row = await session.get(TrainingSetRow, (project, id_))
    if row is None:
        raise NotFound(f"no training set {id_[:12]} in project {project!r}")
    return row
