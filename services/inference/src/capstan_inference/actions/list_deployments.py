"""Deployments as callers see them."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.rest.common import Page
from capstan_contracts.rest.inference import Deployment, ModelService
from capstan_inference.actions.ports import ModelServer
from capstan_inference.actions.watch_servers import told
from capstan_inference.tables import DeploymentRow, ModelServerRow
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.errors import NotFound

DEFAULT_PROJECT = "default"


class ListDeployments:
    """Reads rows; the address, and how many servers stand, are the model servers'."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    async def all(self, session: ReadSession, project: str) -> Page[Deployment]:
        """Every deployment of a project, by name."""
        mine = select(DeploymentRow).where(DeploymentRow.project == project).order_by(DeploymentRow.name)
        return Page(items=[await self._wire(session, row) for row in (await session.scalars(mine)).all()])

    async def one(self, session: ReadSession, project: str, name: str) -> Deployment:
        """One of them. NotFound."""
        row = await session.get(DeploymentRow, (project, name))
        if row is None:
            raise NotFound(
                f"no deployment {name} in project {project}", hint="A deployment is made by applying a loop."
            )
        return await self._wire(session, row)

    async def _wire(self, session: ReadSession, row: DeploymentRow) -> Deployment:
        address = self._server.address(row.project, row.name)
        state, sentences = row.state, [row.message]
        replica_status = self._server.replica_status.get((row.project, row.name))
        if replica_status is not None and state == "serving" and replica_status.available < replica_status.wanted:
            state = "degraded"
            sentences.append(told(replica_status))
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
    mine = (
        ModelServerRow.project == row.project,
        ModelServerRow.deployment == row.name,
        ModelServerRow.revision == row.revision,
        ModelServerRow.state == "lost",
    )
    lost = (await session.scalars(select(ModelServerRow).where(*mine).order_by(ModelServerRow.since))).all()
    if not lost:
        return ""
    records = sum(one.records for one in lost)
    return f"{records} records of the prediction log were lost with {', '.join(one.server for one in lost[-3:])}"
