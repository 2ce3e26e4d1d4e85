"""The feature store's part of a loop: views and the feature service that reads them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, update

from capstan_contracts.ids import short
from capstan_contracts.loop import FeatureDefinitions, ResolvedLoop, ViewSpec
from capstan_feature_store.actions.ports import Datasets, JobLimits
from capstan_feature_store.actions.queue_materialization import QueueMaterialization
from capstan_feature_store.domain.definitions import breaches
from capstan_feature_store.domain.jobs import CheckedViews, ViewsToCheck
from capstan_feature_store.domain.plans import view_plan
from capstan_feature_store.domain.versions import digest_of, service_digest, view_version
from capstan_feature_store.tables import FeatureServiceRow, LoopRow, ViewRow, newest_known
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, ReadSession, WriteSession
from capstan_servicekit.errors import Conflict
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.loops.rules import Rule
from capstan_servicekit.loops.store import PartStore

CHECK_VIEWS = JobKind("platform", "capstan_feature_store.jobs.check_views:run", ViewsToCheck, CheckedViews)


class FeatureParts(PartStore[FeatureDefinitions, None]):
    """Registers views and feature service; a new view is materialized from the newest dataset version that is known."""

    service = "feature-store"
    stations = ("spec.features",)

    def __init__(
        self,
        database: Database,
        jobs: JobPool,
        datasets: Datasets,
        queue: QueueMaterialization,
        clock: Clock,
        limits: JobLimits,
    ) -> None:
        self._database, self._jobs, self._datasets = database, jobs, datasets
        self._queue, self._clock, self._limits = queue, clock, limits

    def part_of(self, resolved: ResolvedLoop) -> FeatureDefinitions:
        """The definitions of the recipe's features folder."""
        return resolved.definitions

    def rules(self, part: FeatureDefinitions, resolved: ResolvedLoop) -> Iterable[Rule]:
        """What can be told of definitions without looking at data."""
        return [(f"definitions.{place}", rule) for place, rule in breaches(part, resolved.loop.spec)]

    async def prepare(self, project: str, part: FeatureDefinitions) -> None:
        """Let a job look at the SQL; its result is checked against the newest dataset version, if there is one yet."""
        names = sorted({view.dataset for view in part.views})
        async with self._database.read() as session:
            heads = {name: await newest_known(session, project, name) for name in names}
        files = {}
        for name, head in heads.items():
            if head is not None:
                manifest = await self._datasets.manifest(project, name, head.version)
                files[name] = [str(path) for path in await self._datasets.files(project, manifest)]
        async with self._jobs.scratch() as scratch:
            given = ViewsToCheck(views=[view_plan(view) for view in part.views], datasets=files)
            await self._jobs.call(
                CHECK_VIEWS,
                given,
                project=project,
                scratch=scratch,
                readable=[path for paths in files.values() for path in paths],
                timeout_s=self._limits.check_timeout_s,
            )

    async def generation(self, session: ReadSession, project: str, loop: str) -> int | None:
        """The generation whose views are in force."""
        row = await session.get(LoopRow, (project, loop))
        return None if row is None else row.generation

    async def changes(self, session: ReadSession, project: str, loop: str, part: FeatureDefinitions) -> list[str]:
        """What changes in views and feature service. Conflict where a name belongs to another loop."""
        return await _changes(session, project, loop, part)

    async def store(
        self,
        session: WriteSession,
        project: str,
        loop: str,
        generation: int,
        part: FeatureDefinitions,
        prepared: None,
    ) -> None:
        """Register every view, drop what is gone, and keep the feature service."""
        for view in part.views:
            await self._keep_view(session, project, loop, view)
        kept = [view.name for view in part.views]
        dropped = (ViewRow.project == project, ViewRow.loop == loop, ViewRow.current, ViewRow.name.not_in(kept))
        await session.execute(update(ViewRow).where(*dropped).values(current=False))
        await _keep_service(session, project, loop, part)
        row = await session.get(LoopRow, (project, loop))
        if row is None:
            row = LoopRow(project=project, loop=loop)
            session.add(row)
        row.generation, row.service = generation, part.service.name

    async def keep_generation(self, session: WriteSession, project: str, loop: str, generation: int) -> None:
        """The same definitions under a newer number."""
        if (row := await session.get(LoopRow, (project, loop))) is not None:
            row.generation = max(row.generation, generation)

    async def _keep_view(self, session: WriteSession, project: str, loop: str, view: ViewSpec) -> None:
        version, now = view_version(view), self._clock.now()
        row = await session.get(ViewRow, (project, view.name, version))
        if row is not None and row.current:
            row.spec = view.model_dump(mode="json")
            return
        same_name = (ViewRow.project == project, ViewRow.name == view.name)
        await session.execute(update(ViewRow).where(*same_name).values(current=False))
        if row is None:
            row = ViewRow(project=project, name=view.name, version=version, dataset=view.dataset, online_rows=0)
            session.add(row)
        row.loop, row.current, row.registered_at, row.spec = loop, True, now, view.model_dump(mode="json")
        await session.flush()
        head = await newest_known(session, project, view.dataset)
        if head is not None:
            await self._queue.for_view(session, row, head.version, ordinal=head.ordinal, now=now)


async def _keep_service(session: WriteSession, project: str, loop: str, definitions: FeatureDefinitions) -> None:
    service = definitions.service
    row = await session.get(FeatureServiceRow, (project, service.name))
    if row is None:
        row = FeatureServiceRow(project=project, name=service.name)
        session.add(row)
    versions = {view.name: view_version(view) for view in definitions.views}
    row.loop, row.spec = loop, service.model_dump(mode="json")
    row.views = {lookup.view: versions[lookup.view] for lookup in service.lookups}


async def _changes(session: ReadSession, project: str, loop: str, definitions: FeatureDefinitions) -> list[str]:
    """One sentence per change; Conflict where a name belongs to another loop."""
    query = select(ViewRow).where(ViewRow.project == project, ViewRow.current)
    current = {row.name: row for row in await session.scalars(query)}
    changes = []
    for view in definitions.views:
        version, row = view_version(view), current.get(view.name)
        if row is None:
            changes.append(f"view {view.name} is new: version {short(version)}")
        elif row.version != version:
            if row.loop != loop:
                raise Conflict(
                    f"view {view.name!r} belongs to loop {row.loop!r} with another definition",
                    hint="Give the view another name, or the same definition.",
                )
            changes.append(f"view {view.name} changes from version {short(row.version)} to {short(version)}")
        elif row.spec.get("description", "") != view.description:
            changes.append(f"view {view.name} has another description")
    names = {view.name for view in definitions.views}
    changes += [
        f"view {n} is no longer kept online" for n, row in current.items() if row.loop == loop and n not in names
    ]
    return changes + await _service_changes(session, project, loop, definitions)


async def _service_changes(session: ReadSession, project: str, loop: str, definitions: FeatureDefinitions) -> list[str]:
    name = definitions.service.name
    row = await session.get(FeatureServiceRow, (project, name))
    if row is None:
        return [f"feature service {name} is new: {len(definitions.service.lookups)} views"]
    if row.loop != loop:
        raise Conflict(f"feature service {name!r} belongs to loop {row.loop!r}", hint="Give it another name.")
    if digest_of(row.spec) != service_digest(definitions.service):
        return [f"feature service {name} changes"]
    return []
