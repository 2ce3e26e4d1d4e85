"""The work on a scrub: read every object of the datasets that it names, and write down what is damaged or gone."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from capstan_contracts.errors import Problem
from capstan_contracts.rest.ingestion import ScrubFinding
from capstan_contracts.work import State
from capstan_ingestion.actions.ports import VersionStore
from capstan_ingestion.domain.stored_objects import StoredBatch, StoredObject, objects_of
from capstan_ingestion.domain.work import ObjectsToScrub
from capstan_ingestion.tables import BatchRow, ScrubRow, VersionRow
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.objects.port import Condition, ObjectStore
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.queue import WorkQueue

log = logger(__name__)
FINDINGS: Final = 1000
"""How many findings a scrub keeps; it counts all."""


class ScrubObjects(Work[ObjectsToScrub]):
    """One object at a time, so that it takes one core and one disk from nobody else."""

    Payload = ObjectsToScrub

    def __init__(
        self, database: Database, clock: Clock, work: WorkQueue, objects: ObjectStore, store: VersionStore
    ) -> None:
        self._database, self._clock, self._work = database, clock, work
        self._objects, self._store = objects, store

    async def run(self, item: WorkItem[ObjectsToScrub], lease: Lease) -> None:
        """Read them all; one that is damaged is set aside by the store that holds it."""
        async with self._database.read() as session:
            dataset = (await session.get_one(ScrubRow, item.payload.scrub)).dataset
        stored = await self._stored(item.project, dataset)
        counts = {Condition.DAMAGED: 0, Condition.GONE: 0}
        findings: list[ScrubFinding] = []
        for number, one in enumerate(stored):
            await lease.progress(number, len(stored), f"{one.what} {one.digest[:12]} of {one.dataset}")
            condition = await self._condition(item.project, one)
            if condition is Condition.WHOLE:
                continue
            counts[condition] += 1
            log.error("scrub.found", project=item.project, condition=condition, **_named(one))
            if len(findings) < FINDINGS:
                findings.append(ScrubFinding.model_validate({"condition": condition.value, **_named(one)}))
        await lease.progress(len(stored), len(stored))
        async with lease.finish() as session:
            row = await session.get_one(ScrubRow, item.payload.scrub)
            row.state, row.finished_at, row.objects = State.SUCCEEDED, self._clock.now(), len(stored)
            row.damaged, row.gone = counts[Condition.DAMAGED], counts[Condition.GONE]
            row.findings = [finding.model_dump(mode="json") for finding in findings]

    async def failed(self, session: WriteSession, item: WorkItem[ObjectsToScrub], problem: Problem) -> None:
        """It could not be carried out, or somebody stopped it."""
        row = await session.get_one(ScrubRow, item.payload.scrub)
        status = await self._work.status(session, item.payload, project=item.project)
        cancelled = status is not None and status.state is State.CANCELLED
        row.state = State.CANCELLED if cancelled else State.FAILED
        row.problem, row.finished_at = None if cancelled else problem, self._clock.now()

    async def _stored(self, project: str, dataset: str | None) -> list[StoredObject]:
        versions = select(VersionRow.manifest).where(VersionRow.project == project)
        batches = select(BatchRow).where(BatchRow.project == project)
        if dataset is not None:
            versions, batches = (
                versions.where(VersionRow.dataset == dataset),
                batches.where(BatchRow.dataset == dataset),
            )
        async with self._database.read() as session:
            manifests = list(await session.scalars(versions.order_by(VersionRow.dataset, VersionRow.sequence)))
            rows = list(await session.scalars(batches.order_by(BatchRow.id)))
        return objects_of(
            manifests, [StoredBatch(row.dataset, row.partition, row.digest, row.failing_rows) for row in rows]
        )

    async def _condition(self, project: str, one: StoredObject) -> Condition:
        if one.what == "dvc-file":
            return await self._store.scrub(project, one.digest)
        return await self._objects.scrub(project, one.digest)


def _named(one: StoredObject) -> dict[str, object]:
    return {
        "dataset": one.dataset,
        "what": one.what,
        "digest": one.digest,
        "partition": one.partition,
        "path": one.path,
        "versions": one.versions,
    }
