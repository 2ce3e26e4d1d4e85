"""Say which source rows are behind a feature value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from capstan_contracts.errors import FieldError
from capstan_contracts.loop import ViewSpec
from capstan_contracts.rest.feature_store import ExplainRequest, Explanation, SourceRow
from capstan_feature_store.actions.ports import Datasets, JobLimits
from capstan_feature_store.domain.entities import key_value
from capstan_feature_store.domain.jobs import ExplainedValue, ValueToExplain
from capstan_feature_store.domain.plans import view_plan
from capstan_feature_store.tables import current_view_row
from capstan_formats.epoch import us_of
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Invalid
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobPool

EXPLAIN = JobKind("platform", "capstan_feature_store.jobs.explain:run", ValueToExplain, ExplainedValue)
ROWS = 100
"""Rows that an explanation shows; `total` counts all."""


@dataclass(frozen=True)
class ExplainValue:
    """`POST /views/{view}/explain`."""

    database: Database
    jobs: JobPool
    datasets: Datasets
    limits: JobLimits

    async def __call__(self, project: str, name: str, asked: ExplainRequest) -> Explanation:
        """The rows at the value's event time, or at the newest before it."""
        async with self.database.read() as session:
            row = await current_view_row(session, project, name)
        view = ViewSpec.model_validate(row.spec)
        keys = _keys(view, asked.keys)
        version = (
            asked.dataset_version or row.online_dataset_version or await self.datasets.latest(project, row.dataset)
        )
        manifest = await self.datasets.manifest(project, row.dataset, version)
        files = await self.datasets.files(project, manifest)
        async with self.jobs.scratch() as scratch:
            given = ValueToExplain(
                view=view_plan(view),
                files=[str(file) for file in files],
                keys=keys,
                event_us=us_of(asked.event_time),
                limit=ROWS,
            )
            explained = await self.jobs.call(
                EXPLAIN,
                given,
                project=project,
                scratch=scratch,
                readable=files,
                timeout_s=self.limits.check_timeout_s,
            )
        rows = [
            SourceRow(
                dataset=row.dataset,
                dataset_version=manifest.version,
                file=manifest.files[index].path,
                batch=manifest.files[index].batch,
                row=number,
                values=values,
            )
            for index, number, values in explained.rows
        ]
        left_out = ", ".join(explained.left_out)
        note = f"compared without {left_out}, which is computed from more than one row" if left_out else ""
        return Explanation(view=name, view_version=row.version, rows=rows, total=explained.total, note=note)


def _keys(view: ViewSpec, given: dict[str, Any]) -> dict[str, Any]:
    """The view's keys as the job compares them; Invalid names what is missing, unknown or of a wrong type."""
    names = {key.name: key.dtype for key in view.keys}
    errors = [FieldError(place=f"keys.{name}", rule="is needed") for name in names if name not in given]
    errors += [
        FieldError(place=f"keys.{name}", rule=f"unknown; the keys are {', '.join(names)}")
        for name in given
        if name not in names
    ]
    values = {}
    for name, dtype in names.items():
        if name in given:
            try:
                values[name] = key_value(given[name], dtype)
                if values[name] is None:
                    errors.append(FieldError(place=f"keys.{name}", rule="not null: a null key has no value"))
            except ValueError as error:
                errors.append(FieldError(place=f"keys.{name}", rule=str(error)))
    if errors:
        raise Invalid(f"{errors[0].place}: {errors[0].rule}", errors=errors)
    return values
