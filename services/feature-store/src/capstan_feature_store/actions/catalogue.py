"""Look up views and feature services."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.loop import FeatureServiceSpec, ViewSpec
from capstan_contracts.rest.feature_store import FeatureServiceInfo, View
from capstan_feature_store.tables import FeatureServiceRow, ViewRow
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.errors import NotFound


def view_of(row: ViewRow) -> View:
    """A view as callers see it."""
    return View(
        name=row.name,
        version=row.version,
        spec=ViewSpec.model_validate(row.spec),
        dataset_version=row.online_dataset_version,
        online_rows=row.online_rows,
        online_watermark=row.online_watermark,
    )


async def current_views(session: ReadSession, project: str) -> list[ViewRow]:
    """The views of a project under their current versions, newest first."""
    query = select(ViewRow).where(ViewRow.project == project, ViewRow.current)
    return list(await session.scalars(query.order_by(ViewRow.registered_at.desc(), ViewRow.name)))


async def current_view(session: ReadSession, project: str, name: str) -> ViewRow:
    """A view under its current version; NotFound."""
    query = select(ViewRow).where(ViewRow.project == project, ViewRow.name == name, ViewRow.current)
    row = await session.scalar(query)
    if row is None:
        raise NotFound(f"no view {name!r} in project {project!r}", hint="A loop's features folder defines views.")
    return row


async def feature_service(session: ReadSession, project: str, name: str) -> FeatureServiceRow:
    """A feature service; NotFound."""
    row = await session.get(FeatureServiceRow, (project, name))
    if row is None:
        raise NotFound(f"no feature service {name!r} in project {project!r}", hint="Apply a loop that defines it.")
    return row


def feature_service_of(row: FeatureServiceRow) -> FeatureServiceInfo:
    """A feature service as callers see it."""
    return FeatureServiceInfo(name=row.name, spec=FeatureServiceSpec.model_validate(row.spec), views=row.views)


async def views_at(session: ReadSession, project: str, versions: dict[str, str]) -> dict[str, ViewSpec]:
    """The specs of views under given versions (they are never deleted)."""
    found = {}
    for name, version in versions.items():
        row = await session.get(ViewRow, (project, name, version))
        if row is None:
            raise NotFound(f"no view {name!r} of version {version[:12]} in project {project!r}")
        found[name] = ViewSpec.model_validate(row.spec)
    return found
