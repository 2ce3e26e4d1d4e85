"""trace: from one prediction to its source rows."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text
from rich.tree import Tree

from capstan_client.cli.ids import prediction_id
from capstan_client.cli.output import AsJson, Project, draw, run, show, text
from capstan_client.sdk.lineage import FeatureOrigin, Lineage
from capstan_client.sdk.lineage import trace as walk
from capstan_contracts.ids import short


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(trace)


def trace(prediction: str, as_json: AsJson = False, project: Project = "default") -> None:
    """Explain one prediction: version, run, features with their times, dataset version, files and rows."""
    lineage = run(lambda capstan: walk(capstan, prediction_id(prediction)), project)
    show(lineage, as_json, lambda: draw(tree(lineage)))


def tree(lineage: Lineage) -> Tree:
    """The lineage as a tree."""
    record, run_, version = lineage.prediction, lineage.run, lineage.version
    answer = ", ".join(_output(name, value) for name, value in record.outputs.items())
    root = Tree(Text(f"prediction {record.prediction_id} = {answer}, asked for {text(record.event_time)} UTC"))
    _add(root, f"inputs {record.inputs}")
    by = (
        f"ledger entry {lineage.decision.sequence}, by {lineage.decision.by}"
        if lineage.decision
        else "not in the ledger"
    )
    model = _add(root, f"model {version.model} version {version.version}, package {short(version.package)} ({by})")
    trained = _add(model, f"run {run_.id} ({run_.reason}), seed {run_.seed}, code {short(run_.code)}")
    data = _add(trained, f"dataset {run_.dataset}@{short(run_.dataset_version)}: {lineage.dataset.rows:,} rows")
    for file in lineage.dataset.files:
        _add(data, f"{file.source} -> {file.path}: {file.rows:,} rows, batch {short(file.batch)}, md5 {file.md5[:12]}")
    features = _add(root, "features" if lineage.features else "features: none; every value came with the request")
    for origin in lineage.features:
        _feature(features, origin)
    return root


def _feature(parent: Tree, origin: FeatureOrigin) -> None:
    branch = _add(
        parent, f"{origin.view}@{short(origin.view_version)} {origin.status} as of {origin.event_time or '-'}"
    )
    _add(branch, str(origin.values))
    if origin.explanation is None:
        _add(branch, origin.why_not)
        return
    for row in origin.explanation.rows[:3]:
        source = f"{row.dataset}@{short(row.dataset_version)} {row.file} row {row.row:,}"
        _add(branch, f"{source} (batch {short(row.batch)})")
    more = origin.explanation.total - 3
    if more > 0:
        _add(branch, f"and {more:,} more rows")


def _add(parent: Tree, label: str) -> Tree:
    """A branch; brackets in what users sent are text and no markup."""
    return parent.add(Text(label))


def _output(name: str, value: Any) -> str:
    """The output `prediction` speaks for itself; others come with their names."""
    shown = f"[{', '.join(map(_plain, value))}]" if isinstance(value, list) else _plain(value)
    return shown if name == "prediction" else f"{name} {shown}"


def _plain(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
