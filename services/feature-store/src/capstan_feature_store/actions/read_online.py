"""Read features online: every view of a feature service, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from capstan_contracts.errors import FieldError
from capstan_contracts.loop import FeatureServiceSpec, ViewSpec
from capstan_contracts.rest.feature_store import OnlineRequest, OnlineResponse, OnlineValues
from capstan_feature_store.actions.ports import OnlineStore, OnlineValue
from capstan_feature_store.domain.entities import BadEntities, keys_of, read_columns
from capstan_feature_store.tables import service_row, views_at
from capstan_formats.epoch import datetime_of, us_of
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Invalid


@dataclass(frozen=True)
class ReadOnline:
    """`POST /online-features`."""

    database: Database
    store: OnlineStore
    clock: Clock
    max_rows: int

    async def __call__(self, project: str, asked: OnlineRequest) -> OnlineResponse:
        """Values, status and event time of each view and row; Invalid names place and rule of bad entities."""
        async with self.database.read() as session:
            row = await service_row(session, project, asked.feature_service)
            specs = await views_at(session, project, row.views)
        service = FeatureServiceSpec.model_validate(row.spec)
        try:
            _, columns = read_columns(service, asked.entities, max_rows=self.max_rows)
        except BadEntities as error:
            errors = [FieldError(place=place, rule=rule) for place, rule in error.breaches]
            raise Invalid(f"{errors[0].place}: {errors[0].rule}", errors=errors) from error
        at_us = us_of(asked.event_time or self.clock.now())
        views = []
        for lookup in service.lookups:
            spec, version = specs[lookup.view], row.views[lookup.view]
            keys = keys_of(lookup, spec, columns)
            online = await self.store.read(project, spec.name, version, keys, at_us=at_us)
            views.append(_values(spec, version, online))
        return OnlineResponse(feature_service=service.name, views=views)


def _values(spec: ViewSpec, version: str, values: list[OnlineValue]) -> OnlineValues:
    columns: dict[str, list[Any]] = {}
    for column in spec.columns:
        cells = [value.values.get(column.name) for value in values]
        if column.dtype == "timestamp":
            cells = [None if cell is None else datetime_of(cell) for cell in cells]
        columns[column.name] = cells
    return OnlineValues(
        view=spec.name,
        version=version,
        columns=columns,
        status=[value.status for value in values],  # type: ignore[misc]  # pydantic checks the words
        event_times=[None if value.event_us is None else datetime_of(value.event_us) for value in values],
    )
