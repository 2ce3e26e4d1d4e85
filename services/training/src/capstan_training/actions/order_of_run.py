"""What an executor is asked to run: made from a run's row alone, so that it is the same whenever it is asked for."""

from __future__ import annotations

from pathlib import Path

from capstan_training.actions.ports import PipelineOrder
from capstan_training.domain.part import TrainingPart
from capstan_training.domain.pins import Pins, given
from capstan_training.domain.pipelines import Pipeline, arguments
from capstan_training.tables import RunRow


def order_of(row: RunRow, folder: Path) -> PipelineOrder:
    """The order for a run in the stage `pipeline`."""
    part, pipeline = TrainingPart.from_json(row.part), Pipeline.from_json(row.pipeline)
    pins = Pins(
        dataset_version=row.dataset_version,
        dataset_versions=row.dataset_versions,
        view_versions=row.view_versions,
        code=row.code,
        seed=row.seed,
        parameters=row.parameters,
    )
    resources = part.training.resources
    return PipelineOrder(
        project=row.project,
        loop=row.loop,
        run=row.id,
        ir=pipeline.ir,
        arguments=arguments(pipeline, row.parameters, given(row.project, part, pins)),
        training_set=row.training_set or "",
        wants_training_set="training_set" in pipeline.parameters,
        label=part.training.label,
        folder=folder,
        cpu=resources.cpu,
        memory_mb=resources.memory_mb,
        gpu=resources.gpu,
        timeout_s=resources.timeout.total_seconds(),
    )
