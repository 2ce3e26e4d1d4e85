"""Look at views and feature services."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.loop import FeatureServiceSpec, ViewSpec
from capstan_contracts.rest.common import Page
from capstan_contracts.rest.feature_store import FeatureServiceInfo, View
from capstan_feature_store.tables import ViewRow, current_view_row, service_row
from capstan_servicekit.db.session import Database


class Catalogue:
    """What is defined, and what of it is online."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def views(self, project: str) -> Page[View]:
        """The views of a project under their current versions, newest first."""
        query = select(ViewRow).where(ViewRow.project == project, ViewRow.current)
        async with self._database.read() as session:
            rows = list(await session.scalars(query.order_by(ViewRow.registered_at.desc(), ViewRow.name)))
        return Page(items=[_view(row) for row in rows])

    async def view(self, project: str, name: str) -> View:
        """One view under its current version; NotFound."""
        async with self._database.read() as session:
            return _view(await current_view_row(session, project, name))

    async def feature_service(self, project: str, name: str) -> FeatureServiceInfo:
        """A feature service with the versions of its views; NotFound."""
        async with self._database.read() as session:
            row = await service_row(session, project, name)
        return FeatureServiceInfo(name=row.name, spec=FeatureServiceSpec.model_validate(row.spec), views=row.views)


def _view(row: ViewRow) -> View:
    return View(
        name=row.name,
        version=row.version,
        spec=ViewSpec.model_validate(row.spec),
        dataset_version=row.online_dataset_version,
        online_rows=row.online_rows,
        online_watermark=row.online_watermark,
    )
