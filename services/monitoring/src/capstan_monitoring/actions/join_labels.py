"""Join the labels of a new batch to the predictions, by the dataset's keys."""

from __future__ import annotations

from pathlib import Path

from capstan_contracts.errors import Problem
from capstan_contracts.events import LabelsReceived
from capstan_contracts.ids import Urn, short
from capstan_contracts.rest.ingestion import Manifest
from capstan_monitoring.actions.know_task import KnowTask
from capstan_monitoring.actions.write_rows import Window, chunks, next_statement, write_labels
from capstan_monitoring.domain.jobs import LabelsToRead, ReadLabels
from capstan_monitoring.domain.part import MonitorPart
from capstan_monitoring.domain.work import LabelsToJoin, WindowToMeasure
from capstan_monitoring.tables import monitor_row
from capstan_servicekit.bus.outbox import Outbox
from capstan_servicekit.db.session import Database, WriteSession
from capstan_servicekit.errors import NotFound
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.port import ObjectStore, path_of
from capstan_servicekit.peers import Peers
from capstan_servicekit.telemetry.logs import logger
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_servicekit.work.queue import WorkQueue

READ_LABELS = JobKind("platform", "capstan_monitoring.jobs.labels:run", LabelsToRead, ReadLabels)
log = logger(__name__)


class JoinLabels(Work[LabelsToJoin]):
    """One batch at a time. A label may come before its prediction, late, again, or corrected."""

    Payload = LabelsToJoin

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        work: WorkQueue,
        jobs: JobPool,
        objects: ObjectStore,
        peers: Peers,
        tasks: KnowTask,
    ) -> None:
        self._database, self._outbox, self._work, self._jobs = database, outbox, work, jobs
        self._objects, self._peers, self._tasks = objects, peers, tasks

    async def run(self, item: WorkItem[LabelsToJoin], lease: Lease) -> None:
        """Find the batch's file, read it in a job, write labels in one transaction."""
        dataset, version = item.payload.dataset, item.payload.version
        manifest = await self._peers.get(
            "ingestion", f"/v1/projects/{item.project}/datasets/{dataset}/versions/{version}", Manifest
        )
        file = next((file for file in manifest.files if file.batch == item.payload.batch), None)
        if file is None:
            raise NotFound(f"batch {item.payload.batch[:12]} is not in version {version[:12]} of {dataset}")
        async with self._database.read() as session:
            part = MonitorPart.from_json((await monitor_row(session, item.project, item.payload.loop)).part)
        rule = await self._tasks.of_loop(item.project, item.payload.loop)
        what = f"dataset {dataset!r}, version {short(version)}: the file {file.path} of partition {file.partition}"
        path = await path_of(self._objects, item.project, file.sha256, what=what)
        async with self._jobs.scratch() as folder:
            given = LabelsToRead(str(path), list(part.keys), list(part.time_keys), part.label, rule.task, rule.classes)
            counts = await self._jobs.call(READ_LABELS, given, project=item.project, scratch=folder, readable=[path])
            async with lease.finish() as session:
                await self._apply(session, item, manifest.sequence, counts, made_file(folder, "labels.jsonl"))

    async def failed(self, session: WriteSession, item: WorkItem[LabelsToJoin], problem: Problem) -> None:
        """Nothing was written; quality goes on with the labels of before."""
        log.error("labels.not_joined", loop=item.payload.loop, version=item.payload.version, detail=problem.detail)

    async def _apply(
        self, session: WriteSession, item: WorkItem[LabelsToJoin], rank: int, counts: ReadLabels, path: Path
    ) -> None:
        project, loop, version = item.project, item.payload.loop, item.payload.version
        joined, windows = 0, set[Window]()
        said = await next_statement(session, project, loop)
        for lines in chunks(path):
            labels = [(key, value) for key, value in lines]
            count, touched = await write_labels(session, project, loop, labels, rank, said)
            joined, windows = joined + count, windows | touched
        for start, model_version in sorted(windows):
            measure = WindowToMeasure(loop, start, model_version, cause=version)
            await self._work.add(session, measure, project=project)
        dataset = item.payload.dataset
        event = LabelsReceived(
            loop=loop, source=str(Urn(project, "dataset", dataset, version[:12])), labels=counts.labels,
            joined=joined, unlabelled=counts.unlabelled,
        )  # fmt: skip
        self._outbox.add(session, event, project=project, subject=Urn(project, "loop", loop))
