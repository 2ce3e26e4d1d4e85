"""Take a loop's part: check the definitions, register views and feature service, have new views materialized."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update

from capstan_contracts.errors import FieldError
from capstan_contracts.ids import short
from capstan_contracts.loop import FeatureDefinitions, LoopPart, ViewSpec
from capstan_contracts.rest.common import PartStatus
from capstan_feature_store.actions.ports import Datasets, JobLimits
from capstan_feature_store.actions.queue_materialization import QueueMaterialization, newest_known
from capstan_feature_store.domain.definitions import breaches
from capstan_feature_store.domain.plans import view_plan
from capstan_feature_store.domain.versions import digest_of, service_digest, view_version
from capstan_feature_store.tables import FeatureServiceRow, LoopRow, ViewRow
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, ReadSession, WriteSession
from capstan_servicekit.errors import BadRequest, Conflict, InvalidSpec, broken
from capstan_servicekit.jobs.pool import JobPool

JOB = "capstan_feature_store.jobs.check_views:run"
SERVICE = "feature-store"


@dataclass(frozen=True)
class RegisterLoop:
    """`PUT /loops/{loop}`."""

    database: Database
    jobs: JobPool
    datasets: Datasets
    queue: QueueMaterialization
    clock: Clock
    limits: JobLimits

    async def __call__(self, project: str, loop: str, part: LoopPart, *, dry_run: bool) -> PartStatus:
        """What changes, in sentences; nothing is written with `dry_run`. The same part again changes nothing."""
        metadata = part.resolved.loop.metadata
        if (metadata.project, metadata.name) != (project, loop):
            rule = f"the address says {project}/{loop}, the body {metadata.project}/{metadata.name}"
            raise BadRequest(rule, errors=broken("resolved.loop.metadata", rule))
        definitions = part.resolved.definitions
        content = digest_of(definitions.model_dump(mode="json"))
        async with self.database.read() as session:
            known = await session.get(LoopRow, (project, loop))
        if known is not None and known.content == content:
            if not dry_run and part.generation > known.generation:
                async with self.database.write() as session:
                    newer = (LoopRow.project == project, LoopRow.loop == loop, LoopRow.generation < part.generation)
                    await session.execute(update(LoopRow).where(*newer).values(generation=part.generation))
            return PartStatus(service=SERVICE, loop=loop, generation=part.generation)
        found = breaches(definitions, part.resolved.loop.spec)
        if found:
            errors = [FieldError(place=f"definitions.{place}", rule=rule) for place, rule in found]
            raise InvalidSpec(f"{errors[0].place}: {errors[0].rule}", errors=errors)
        await self._check_sql(project, definitions)
        if dry_run:
            async with self.database.read() as session:
                changes = await _changes(session, project, loop, definitions)
        else:
            async with self.database.write() as session:
                changes = await self._store(session, project, loop, part, content)
        return PartStatus(service=SERVICE, loop=loop, generation=part.generation, changes=changes)

    async def _check_sql(self, project: str, definitions: FeatureDefinitions) -> None:
        """Let a job look at the SQL; its result is checked against the newest dataset version, if there is one yet."""
        names = sorted({view.dataset for view in definitions.views})
        async with self.database.read() as session:
            heads = {name: await newest_known(session, project, name) for name in names}
        files = {}
        for name, head in heads.items():
            if head is not None:
                manifest = await self.datasets.manifest(project, name, head.version)
                files[name] = [str(path) for path in await self.datasets.files(project, manifest)]
        async with self.jobs.scratch() as scratch:
            await self.jobs.run(
                "platform",
                JOB,
                {"views": [view_plan(view) for view in definitions.views], "datasets": files},
                scratch=scratch,
                timeout_s=self.limits.check_timeout_s,
            )

    async def _store(self, session: WriteSession, project: str, loop: str, part: LoopPart, content: str) -> list[str]:
        known = await session.get(LoopRow, (project, loop))
        if known is not None and part.generation < known.generation:
            raise Conflict(
                f"generation {part.generation} of loop {loop!r} is older than {known.generation}, which is in force",
                hint="Read the loop again and apply on top of it.",
            )
        definitions = part.resolved.definitions
        changes = await _changes(session, project, loop, definitions)
        for view in definitions.views:
            await self._keep_view(session, project, loop, view)
        kept = [view.name for view in definitions.views]
        dropped = (ViewRow.project == project, ViewRow.loop == loop, ViewRow.current, ViewRow.name.not_in(kept))
        await session.execute(update(ViewRow).where(*dropped).values(current=False))
        await _keep_service(session, project, loop, definitions)
        if known is None:
            known = LoopRow(project=project, loop=loop)
            session.add(known)
        known.generation, known.content, known.service = part.generation, content, definitions.service.name
        return changes

    async def _keep_view(self, session: WriteSession, project: str, loop: str, view: ViewSpec) -> None:
        version, now = view_version(view), self.clock.now()
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
            await self.queue.for_view(session, row, head.version, ordinal=head.ordinal, now=now)


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
