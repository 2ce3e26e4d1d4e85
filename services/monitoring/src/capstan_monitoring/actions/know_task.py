"""What the model of a loop answers, hence which values its labels have: as its package says, else as the loop does."""

from __future__ import annotations

from sqlalchemy import select

from capstan_monitoring.domain.jobs import PackageToRead
from capstan_monitoring.domain.labels import LabelRule
from capstan_monitoring.domain.part import MonitorPart
from capstan_monitoring.tables import PackageRow, monitor_row
from capstan_servicekit.db.session import Database
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.port import ObjectStore

READ_TASK = JobKind("platform", "capstan_monitoring.jobs.tasks:run", PackageToRead, LabelRule)
MOST_KNOWN = 1000


class KnowTask:
    """Packages never change, so each is read once in this process."""

    def __init__(self, database: Database, jobs: JobPool, objects: ObjectStore) -> None:
        self._database, self._jobs, self._objects = database, jobs, objects
        self._known: dict[tuple[str, str], LabelRule] = {}

    async def of_loop(self, project: str, loop: str) -> LabelRule:
        """By the champion that was promoted last; before there is one, what the loop says. NotFound, JobFailed."""
        async with self._database.read() as session:
            part = MonitorPart.from_json((await monitor_row(session, project, loop)).part)
            promoted = select(PackageRow.package).where(
                PackageRow.project == project, PackageRow.loop == loop, PackageRow.version.is_not(None)
            )
            package = await session.scalar(promoted.order_by(PackageRow.ledger.desc()).limit(1))
        if package is None or not await self._objects.exists(project, package):
            return LabelRule(part.task)
        return await self.of_package(project, package)

    async def of_package(self, project: str, package: str) -> LabelRule:
        """What the package's header says. JobFailed where it cannot be read."""
        known = self._known.get((project, package))
        if known is None:
            path = await self._objects.local_path(project, package)
            async with self._jobs.scratch() as folder:
                known = await self._jobs.call(
                    READ_TASK, PackageToRead(str(path)), project=project, scratch=folder, readable=[path]
                )
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[project, package] = known
        return known
