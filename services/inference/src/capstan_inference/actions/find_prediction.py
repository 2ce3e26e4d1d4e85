"""A prediction by its id: the time inside the id says in which segments it can be."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.ids import short
from capstan_contracts.rest.inference import PredictionRecord
from capstan_inference.actions.flush_servers import FlushServers
from capstan_inference.actions.ports import Spool
from capstan_inference.domain.predictions import Logged, id_millis, on_the_wire
from capstan_inference.tables import DeploymentRow, ModelVersionRow, SegmentRow
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Damaged, NotFound
from capstan_servicekit.objects.port import ObjectStore, path_of


class FindPrediction:
    """Reads the spool first: a segment leaves it only after its row is in the database.

    What model servers elsewhere still hold is asked for once.
    """

    def __init__(self, database: Database, objects: ObjectStore, spool: Spool, flush: FlushServers) -> None:
        self._database, self._objects, self._spool, self._flush = database, objects, spool, flush

    async def __call__(self, project: str, prediction: str) -> PredictionRecord:
        """The record as it was logged before the answer left. NotFound; Damaged where it cannot be told any more."""
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
        damaged: list[Damaged] = []
        for digest in digests:
            try:
                path = await path_of(self._objects, project, digest, what=f"segment {short(digest)} of the log")
            except Damaged as error:
                logged, whole = await self._salvaged(error, prediction, digest)
                damaged.append(Damaged(f"{error.detail}; {whole}", hint=error.hint))
            else:
                logged = await self._spool.find_in(path, prediction, digest)
            if logged is not None:
                return logged
        if damaged:
            raise Damaged(
                f"prediction {prediction} is not among what is whole, and by its time it can be in what is not: "
                + "; ".join(error.detail for error in damaged),
                hint=damaged[0].hint,
            )
        return None

    async def _salvaged(self, error: Damaged, prediction: str, digest: str) -> tuple[Logged | None, str]:
        if error.copy is None:
            return None, "nothing of it can be read"
        return await self._spool.salvage(error.copy, prediction, digest)

    async def _run(self, project: str, logged: Logged) -> str | None:
        schema = logged.record.schema
        async with self._database.read() as session:
            deployment = await session.get(DeploymentRow, (project, schema.deployment))
            model = deployment.model if deployment is not None else schema.deployment
            version = await session.get(ModelVersionRow, (project, model, schema.version))
        return None if version is None else version.run
