"""Checks the SQL of views: always its form, and its result where a version of its dataset is there."""

from __future__ import annotations

from capstan_feature_store.domain.jobs import CheckedViews, ViewsToCheck
from capstan_feature_store.jobs import view_rows
from capstan_feature_store.jobs.sandbox import open_sandbox
from capstan_feature_store.jobs.select_rules import breaches
from capstan_servicekit.jobs.api import Job, JobRefused


def run(job: Job) -> CheckedViews:
    """JobRefused names every view whose SQL, or the result of it, breaks a rule."""
    given = job.read(ViewsToCheck)
    con = open_sandbox(job.scratch, given.datasets)
    views = [view_rows.ViewPlan.from_json(view) for view in given.views]
    broken = [(f"views[{view.name}].sql", rule) for view in views for rule in breaches(con, view.sql, view.dataset)]
    if broken:
        raise JobRefused(f"{broken[0][0]}: {broken[0][1]}", errors=broken, code="invalid-spec")
    checked = []
    for view in views:
        if view.dataset in given.datasets:
            try:
                view_rows.result_types(con, view)
                checked.append(view.name)
            except JobRefused as refused:
                broken += refused.errors
    con.close()
    if broken:
        raise JobRefused(f"{broken[0][0]}: {broken[0][1]}", errors=broken, code="invalid-spec")
    return CheckedViews(checked)
