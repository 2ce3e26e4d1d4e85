"""The stage `features`: have the feature store join the training set for a run's pins."""

from __future__ import annotations

import asyncio

from capstan_contracts.errors import Code, FieldError
from capstan_contracts.ids import short
from capstan_contracts.rest.feature_store import TrainingSet, TrainingSetRequest
from capstan_contracts.work import Progress, State
from capstan_servicekit.errors import BadRequest, NotReady, Upstream, broken
from capstan_servicekit.work.lease import Lease
from capstan_training.actions.ports import RunLogs, TrainingSets
from capstan_training.domain.part import TrainingPart
from capstan_training.domain.pipelines import Pipeline
from capstan_training.domain.run import STAGE, Stage
from capstan_training.domain.transcript import OWN
from capstan_training.tables import RunRow


class MakeTrainingSet:
    """Asks under the run's id, so that asking again after an interruption gives the same training set."""

    def __init__(self, sets: TrainingSets, logs: RunLogs, *, timeout_s: float, poll_s: float) -> None:

        self._sets, self._logs = sets, logs
        self._timeout_s, self._poll_s = timeout_s, poll_s

    async def __call__(self, row: RunRow, lease: Lease) -> RunRow:
        """The run's row in the stage `pipeline`, with training set and view versions pinned."""
        try:
            async with asyncio.timeout(self._timeout_s):
                made = await self._wait(row, lease)
        except TimeoutError as error:
            raise BadRequest(
                f"features: the training set was not ready after {self._timeout_s:g} s",
                errors=broken("features", f"a training set within {self._timeout_s:g} s"),
                code=Code.DEADLINE,
            ) from error
        _check(row, made)
        async with lease.step() as session:
            row = await session.get_one(RunRow, row.id)
            row.training_set, row.stage = made.digest, STAGE.move(row.stage, Stage.PIPELINE)
            row.view_versions = dict(made.view_versions)
            row.dataset_versions = {**made.dataset_versions, **row.dataset_versions}
        left_out = f", {made.unlabelled} left out because they never get a label" if made.unlabelled else ""
        self._logs.append(row.id, f"{OWN} training set {short(made.digest or '')}: {made.rows} rows{left_out}")
        return row

    async def _wait(self, row: RunRow, lease: Lease) -> TrainingSet:
        part, total = TrainingPart.from_json(row.part), Pipeline.from_json(row.pipeline).steps + 2
        request = TrainingSetRequest(
            feature_service=part.definitions.service.name,
            dataset=row.dataset,
            dataset_version=row.dataset_version,
            label=part.training.label,
            as_known=part.training.as_known,
            sources={name: version for name, version in row.dataset_versions.items() if name != row.dataset},
        )
        made: TrainingSet | None = None
        while made is None or not made.state.finished:
            try:
                if made is None:
                    made = await self._sets.ask(row.project, request, key=f"run-{row.id}")
                else:
                    made = await self._sets.look(row.project, made.id)
                message = f"features: {_share(made.progress)}"
            except (NotReady, Upstream) as error:  # a neighbour that restarts is waited for
                message = f"features: waiting for the feature store ({error.detail})"
            await lease.progress(0, total, message)
            if made is None or not made.state.finished:
                await asyncio.sleep(self._poll_s)
        return made


def _share(progress: Progress) -> str:
    return f"{progress.done} of {progress.total} {progress.message}".strip() if progress.total else "joining"


def _check(row: RunRow, made: TrainingSet) -> None:
    if made.state is not State.SUCCEEDED:
        problem = made.problem
        detail = (problem.detail or problem.title) if problem else f"the training set ended {made.state.value}"
        errors = problem.errors if problem and problem.errors else [FieldError(place="features", rule=detail)]
        raise BadRequest(f"features: {detail}", hint=problem.hint if problem else "", errors=errors)
    if made.digest is None:
        raise Upstream("The feature store made a training set without a digest")
    service = TrainingPart.from_json(row.part).definitions.service
    unpinned = sorted({lookup.view for lookup in service.lookups} - set(made.view_versions))
    if unpinned:
        raise Upstream(f"The feature store made a training set without the versions of {', '.join(unpinned)}")
    for dataset, version in row.dataset_versions.items():
        if made.dataset_versions.get(dataset, version) != version:
            raise Upstream(
                f"The feature store joined {dataset}@{short(made.dataset_versions[dataset])}, not {short(version)}"
            )
