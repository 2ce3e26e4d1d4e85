"""A prediction by its id: the time inside the id says in which segments it can be."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.rest.inference import PredictionRecord
from capstan_inference.actions.flush_servers import FlushServers
from capstan_inference.actions.ports import Spool
from capstan_inference.domain.predictions import Logged, id_millis, on_the_wire
from capstan_inference.tables import DeploymentRow, ModelVersionRow, SegmentRow
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import NotFound
from capstan_servicekit.objects.port import ObjectStore


class FindPrediction:
    """Reads the spool first: a segment leaves it only after its row is in the database.

    What model servers elsewhere still hold is asked for once.
    """

    def __init__(self, database: Database, objects: ObjectStore, spool: Spool, flush: FlushServers) -> None:
        self._database, self._objects, self._spool, self._flush = database, objects, spool, flush

    async def __call__(self, project: str, prediction: str) -> PredictionRecord:
        """The record as it was logged before the answer left. NotFound."""
        logged = await self._spool.find(project, prediction) or await self._shipped(project, prediction)
        if logged is None and await self._flush.for_prediction(project, id_millis(prediction)):
            logged = await self._shipped(project, prediction)
        if logged is None:
            raise NotFound(
                f"no prediction {prediction} in project {project}",
                hint="Ids come with each answer of the model server, as prediction_ids.",
            )
        return on_the_wire(logged, await self._run(project, logged))

    async def _shipped(self, project: str, prediction: str) -> Logged | None:
        millis = id_millis(prediction)
        within = (SegmentRow.project == project, SegmentRow.first_ms <= millis, SegmentRow.last_ms >= millis)
        async with self._database.read() as session:
            digests = (await session.scalars(select(SegmentRow.digest).where(*within))).all()
        for digest in digests:
            path = await self._objects.local_path(project, digest)
            if (logged := await self._spool.find_in(path, prediction, digest)) is not None:
                return logged
        return None

    async def _run(self, project: str, logged: Logged) -> str | None:
        schema = logged.record.schema
        async with self._database.read() as session:
            deployment = await session.get(DeploymentRow, (project, schema.deployment))
            model = deployment.model if deployment is not None else schema.deployment
            version = await session.get(ModelVersionRow, (project, model, schema.version))
        return None if version is None else version.run
