"""A person starts a run by hand; parameters override the loop's, versions default to the newest."""

from __future__ import annotations

from capstan_contracts.errors import FieldError
from capstan_contracts.ids import uuid7
from capstan_contracts.rest.training import Run, RunRequest
from capstan_servicekit.clock import Clock
from capstan_servicekit.db import idempotency
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import BadRequest, Conflict, NotFound
from capstan_training.actions.ports import Datasets
from capstan_training.actions.read_runs import to_run
from capstan_training.actions.start_run import Start, StartRun
from capstan_training.domain.jobs import Arguments
from capstan_training.domain.part import TrainingPart
from capstan_training.domain.pipelines import Pipeline, check_parameters
from capstan_training.tables import LoopRow


class RequestRun:
    """`POST /runs`."""

    def __init__(self, database: Database, clock: Clock, datasets: Datasets, start: StartRun) -> None:
        self._database, self._clock = database, clock
        self._datasets, self._start = datasets, start

    async def __call__(self, project: str, request: RunRequest, *, by: str, key: str | None) -> Run:
        """The queued run; under the same key always the same one."""
        request_print = idempotency.fingerprint("runs", request.model_dump_json())
        async with self._database.write() as session:
            answer = await idempotency.recall(session, project, key, request_print)
            loop = await session.get(LoopRow, (project, request.loop))
        if answer is not None:
            return Run.model_validate(answer)
        if loop is None:
            raise NotFound(
                f"no loop {request.loop} in project {project}", hint="Apply it first: capstan apply -f loop.yaml"
            )
        part = TrainingPart.from_json(loop.part)
        _check(Pipeline.from_json(loop.pipeline), request.parameters)
        version = await self._version(project, part, request.dataset_version)
        async with self._database.write() as session:
            if (answer := await idempotency.recall(session, project, key, request_print)) is not None:
                return Run.model_validate(answer)
            id_ = uuid7(self._clock.now())
            start = Start(
                cause=f"manual:{id_}",
                id=id_,
                reason="manual",
                requested_by=by,
                dataset_version=version,
                promote=request.promote,
                parameters=request.parameters,
            )
            row = await self._start(session, await session.get_one(LoopRow, (project, request.loop)), start)
            if row is None:
                raise Conflict("This run exists already")
            run = to_run(row)
            response = run.model_dump(mode="json")
            idempotency.remember(session, project, key, request_print, response, self._clock.now())
        return run

    async def _version(self, project: str, part: TrainingPart, wanted: str | None) -> str:
        if wanted is not None:
            return await self._datasets.resolve(project, part.dataset, wanted)
        newest = await self._datasets.newest(project, part.dataset)
        if newest is None:
            raise Conflict(
                f"The dataset {part.dataset} has no version yet", hint="Upload a batch to it first, then start the run."
            )
        return newest


def _check(pipeline: Pipeline, parameters: Arguments) -> None:
    wrong = check_parameters(pipeline, parameters)
    if wrong:
        raise BadRequest(
            "; ".join(f"parameter {name}: {rule}" for name, rule in wrong),
            hint=f"Parameters of {pipeline.name}: {', '.join(pipeline.settable) or 'none'}.",
            errors=[FieldError(place=f"parameters.{name}", rule=rule) for name, rule in wrong],
        )
