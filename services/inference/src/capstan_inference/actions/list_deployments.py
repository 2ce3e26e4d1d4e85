"""Deployments as callers see them."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.rest.common import Page
from capstan_contracts.rest.inference import Deployment, ModelService
from capstan_inference.actions.ports import ModelServer
from capstan_inference.domain.deployment import DEGRADED, DeploymentState
from capstan_inference.tables import LOST, DeploymentRow, ModelServerRow, deployment_row
from capstan_servicekit.db.session import Database, ReadSession

DEFAULT_PROJECT = "default"


class ListDeployments:
    """Reads rows; the address, and how many servers stand, are the model servers'."""

    def __init__(self, database: Database, server: ModelServer) -> None:
        self._database, self._server = database, server

    async def all(self, project: str) -> Page[Deployment]:
        """Every deployment of a project, by name."""
        by_name = select(DeploymentRow).where(DeploymentRow.project == project).order_by(DeploymentRow.name)
        async with self._database.read() as session:
            rows = (await session.scalars(by_name)).all()
            return Page(items=[await self._wire(session, row) for row in rows])

    async def by_name(self, project: str, name: str) -> Deployment:
        """One of them. NotFound."""
        async with self._database.read() as session:
            return await self._wire(session, await deployment_row(session, project, name))

    async def _wire(self, session: ReadSession, row: DeploymentRow) -> Deployment:
        address = self._server.address(row.project, row.name)
        state, sentences = row.state, [row.message]
        replica_status = self._server.replica_status.get((row.project, row.name))
        if (
            replica_status is not None
            and state == DeploymentState.SERVING
            and replica_status.available < replica_status.wanted
        ):
            state = DEGRADED
            sentences.append(replica_status.shortfall)
        sentences.append(await _lost(session, row))
        service = address.service
        return Deployment(
            name=row.name,
            loop=row.loop,
            state=state,  # type: ignore[arg-type]
            revision=row.revision,
            model_version=row.model_version,
            package=row.package,
            ledger_sequence=row.ledger_sequence,
            url=address.url if row.project == DEFAULT_PROJECT else f"{address.url}/projects/{row.project}",
            service=None if service is None else ModelService(namespace=service[0], name=service[1], port=service[2]),
            since=row.since,
            message="; ".join(filter(None, sentences)),
        )


async def _lost(session: ReadSession, row: DeploymentRow) -> str:
    """What went with servers of this revision; the next one starts without a stain."""
    of_revision = (
        ModelServerRow.project == row.project,
        ModelServerRow.deployment == row.name,
        ModelServerRow.revision == row.revision,
        ModelServerRow.state == LOST,
    )
    lost = (await session.scalars(select(ModelServerRow).where(*of_revision).order_by(ModelServerRow.since))).all()
    if not lost:
        return ""
    records = sum(server.records for server in lost)
    return f"{records} records of the prediction log were lost with {', '.join(server.server for server in lost[-3:])}"
