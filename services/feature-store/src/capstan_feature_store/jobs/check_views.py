"""Checks the SQL of views: always its form, and its result where a version of its dataset is there."""

from __future__ import annotations

from typing import Any

from capstan_feature_store.jobs import view_rows
from capstan_feature_store.jobs.sandbox import open_sandbox
from capstan_feature_store.jobs.select_rules import breaches
from capstan_servicekit.jobs.api import Job, JobRefused


def run(job: Job) -> dict[str, Any]:
    """Input: views, datasets {name: [paths]} (may lack some). Output: names of the views whose result was checked."""
    con = open_sandbox(job.scratch, job.input["datasets"])
    views = [view_rows.ViewPlan.from_json(view) for view in job.input["views"]]
    broken = [(f"views[{view.name}].sql", rule) for view in views for rule in breaches(con, view.sql, view.dataset)]
    if broken:
        raise JobRefused(f"{broken[0][0]}: {broken[0][1]}", errors=broken, code="invalid-spec")
    checked = []
    for view in views:
        if view.dataset in job.input["datasets"]:
            try:
                view_rows.result_types(con, view)
                checked.append(view.name)
            except JobRefused as refused:
                broken += refused.errors
    con.close()
    if broken:
        raise JobRefused(f"{broken[0][0]}: {broken[0][1]}", errors=broken, code="invalid-spec")
    return {"checked": checked}
