"""Deployments as callers see them."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.rest.common import Page
from capstan_contracts.rest.inference import Deployment
from capstan_inference.actions.ports import ModelServer
from capstan_inference.tables import DeploymentRow
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.errors import NotFound

DEFAULT_PROJECT = "default"


class ListDeployments:
    """Reads rows; the address is that of the model server."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server

    async def all(self, session: ReadSession, project: str) -> Page[Deployment]:
        """Every deployment of a project, by name."""
        mine = select(DeploymentRow).where(DeploymentRow.project == project).order_by(DeploymentRow.name)
        return Page(items=[self._wire(row) for row in (await session.scalars(mine)).all()])

    async def one(self, session: ReadSession, project: str, name: str) -> Deployment:
        """One of them. NotFound."""
        row = await session.get(DeploymentRow, (project, name))
        if row is None:
            raise NotFound(
                f"no deployment {name} in project {project}", hint="A deployment is made by applying a loop."
            )
        return self._wire(row)

    def _wire(self, row: DeploymentRow) -> Deployment:
        base = self._server.url
        return Deployment(
            name=row.name,
            loop=row.loop,
            state=row.state,  # type: ignore[arg-type]
            revision=row.revision,
            model_version=row.model_version,
            package=row.package,
            ledger_sequence=row.ledger_sequence,
            url=base if row.project == DEFAULT_PROJECT else f"{base}/projects/{row.project}",
            since=row.since,
            message=row.message,
        )
