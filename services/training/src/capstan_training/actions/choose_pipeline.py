"""Find the compiled pipeline that a loop names, or say in a useful way why it cannot be run."""

from __future__ import annotations

import asyncio

from capstan_contracts.errors import FieldError
from capstan_contracts.ids import short
from capstan_contracts.work import State
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import InvalidSpec, NotReady, broken
from capstan_training.domain.part import TrainingPart
from capstan_training.domain.pipelines import Pipeline, check_parameters, missing_parameters
from capstan_training.tables import CodeRow

PLACE = "spec.training.pipeline"


class ChoosePipeline:
    """Looks a part's pipeline up; waits for the archive to be compiled."""

    def __init__(self, database: Database, *, wait_s: float, poll_s: float = 0.1) -> None:
        self._database, self._wait_s, self._poll_s = database, wait_s, poll_s

    async def __call__(self, project: str, part: TrainingPart) -> Pipeline:
        """The pipeline, whose parameters fit the loop's; InvalidSpec, or NotReady while it is still being compiled."""
        row = await self._compiled(project, part.code)
        name = part.pipeline_name
        if name not in row.pipelines:
            raise _unusable(row, name)
        pipeline = Pipeline.from_json(row.pipelines[name])
        wrong = check_parameters(pipeline, part.training.parameters)
        wrong += [
            (name, "has no default and must be set") for name in missing_parameters(pipeline, part.training.parameters)
        ]
        if wrong:
            places = [FieldError(place=f"spec.training.parameters.{name}", rule=rule) for name, rule in wrong]
            raise InvalidSpec("; ".join(f"parameter {name}: {rule}" for name, rule in wrong), errors=places)
        return pipeline

    async def _compiled(self, project: str, code: str) -> CodeRow:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait_s
        while True:
            async with self._database.read() as session:
                row = await session.get(CodeRow, (project, code))
            if row is None:
                raise InvalidSpec(
                    f"The recipe archive {short(code)} was never uploaded to training",
                    hint="Upload it first with PUT /code/{digest}; `capstan apply` does so.",
                    errors=broken("code", "an archive that training has"),
                )
            if State(row.state).finished:
                return row
            if loop.time() >= until:
                raise NotReady(
                    f"The recipe archive {short(code)} is still being compiled", hint="Try again in a moment."
                )
            await asyncio.sleep(self._poll_s)


def _unusable(row: CodeRow, name: str) -> InvalidSpec:
    file = name.rpartition(":")[0]
    sentence = row.errors.get(name) or row.errors.get(file)
    if sentence:
        return InvalidSpec(f"The pipeline {name} does not compile: {sentence}", errors=broken(PLACE, sentence))
    if row.pipelines:
        names = ", ".join(sorted(row.pipelines))
        return InvalidSpec(
            f"The recipe has no pipeline {name}; it has {names}",
            hint="Write training.pipeline as `file.py:function` of a top-level function decorated with @dsl.pipeline.",
            errors=broken(PLACE, f"one of {names}"),
        )
    detail = row.problem.detail if row.problem else "no pipeline was found in it"
    return InvalidSpec(f"The recipe has no usable pipeline: {detail}", errors=broken(PLACE, detail))
