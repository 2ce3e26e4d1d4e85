"""Carry out a training set: load, join in a job, store the Parquet file under its digest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from capstan_contracts.errors import Problem
from capstan_contracts.loop import FeatureServiceSpec, ViewSpec
from capstan_contracts.rest.feature_store import TrainingSetRequest
from capstan_contracts.rest.ingestion import Manifest
from capstan_contracts.work import State
from capstan_feature_store.actions.ports import Datasets, JobLimits
from capstan_feature_store.domain.jobs import JoinedSet, SetToJoin
from capstan_feature_store.domain.plans import service_plan, view_plan
from capstan_feature_store.domain.work import SetToBuild
from capstan_feature_store.tables import TrainingSetRow, views_at
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease

JOIN_SET = JobKind("platform", "capstan_feature_store.jobs.training_set:run", SetToJoin, JoinedSet)


@dataclass(frozen=True)
class BuildTrainingSet(Work[SetToBuild]):
    """Joins outside of any transaction; what it made is an object under its digest."""

    Payload = SetToBuild

    database: Database
    jobs: JobPool
    objects: ObjectStore
    datasets: Datasets
    limits: JobLimits

    async def run(self, item: WorkItem[SetToBuild], lease: Lease) -> None:
        """Do one item."""
        async with self.database.read() as session:
            row = await session.get_one(TrainingSetRow, (item.project, item.payload.id))
            views = await views_at(session, item.project, row.view_versions)
        manifests = {
            name: await self.datasets.manifest(item.project, name, version)
            for name, version in row.dataset_versions.items()
        }
        async with self.jobs.scratch() as scratch:
            files = {name: await self.datasets.files(row.project, manifest) for name, manifest in manifests.items()}
            given = self._input(row, views, manifests, files)
            joined = await self.jobs.call(
                JOIN_SET,
                given,
                project=item.project,
                scratch=scratch,
                readable=[Path(path) for paths in given.datasets.values() for path in paths],
                timeout_s=self.limits.timeout_s,
                progress=lease.progress,
            )
            for manifest in manifests.values():  # nothing is kept that was made of bytes which changed meanwhile
                await self.datasets.files(row.project, manifest)
            digest = await self.objects.put_file(item.project, made_file(scratch, joined.path))
        async with lease.finish() as session:
            row = await session.get_one(TrainingSetRow, (item.project, item.payload.id))
            row.state, row.digest = State.SUCCEEDED, digest
            row.rows, row.unlabelled, row.checked = joined.rows, joined.unlabelled, True

    def _input(
        self,
        row: TrainingSetRow,
        views: dict[str, ViewSpec],
        manifests: dict[str, Manifest],
        files: dict[str, list[Path]],
    ) -> SetToJoin:
        asked = TrainingSetRequest.model_validate(row.request)
        return SetToJoin(
            datasets={name: [str(path) for path in paths] for name, paths in files.items()},
            dataset=asked.dataset,
            files=[[file.path, file.batch] for file in manifests[asked.dataset].files],
            label=asked.label,
            service=service_plan(FeatureServiceSpec.model_validate(row.service)),
            views=[view_plan(view) for view in views.values()],
            as_known=asked.as_known,
            memory_mb=self.limits.memory_mb,
            threads=self.limits.threads,
        )

    async def failed(self, session: WriteSession, item: WorkItem[SetToBuild], problem: Problem) -> None:
        """Write the failure into the resource."""
        row = await session.get(TrainingSetRow, (item.project, item.payload.id))
        if row is not None:
            row.state, row.problem = State.FAILED, problem.model_dump(mode="json")
