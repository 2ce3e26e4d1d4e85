"""Finds a pipeline's artifacts below KFP's pipeline root, and reads what the platform needs of them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from capstan_servicekit.jobs.api import JobRefused
from capstan_training.domain.pipelines import METRICS

MAX_METRICS_BYTES = 1 << 20


@dataclass(frozen=True)
class Artifact:
    """A file or folder that a step made, with the metadata that the step gave it."""

    path: Path
    metadata: dict[str, object] = field(default_factory=dict)


def find_artifact(root: Path, name: str, outputs: dict[str, str]) -> Artifact:
    """The artifact of this name: the pipeline's own output if it declares one, else the only one that a step made.

    `outputs`: where the pipeline's own outputs lie, by name. JobRefused.
    """
    made = _artifacts(root, name)
    if name in outputs:
        path = Path(outputs[name])
        made = [next((artifact for artifact in made if artifact.path == path), Artifact(path))]
    if len(made) != 1:
        steps = ", ".join(sorted(artifact.path.parent.name for artifact in made)) or "none"
        raise JobRefused(
            f"Exactly one step must make the artifact {name!r}; it was made by: {steps}",
            errors=[(name, "one artifact of this name, or an output of the pipeline itself")],
        )
    if not made[0].path.exists() and name != METRICS:
        raise JobRefused(f"The artifact {name!r} was not written", errors=[(name, "a file or folder at its path")])
    if not made[0].path.resolve().is_relative_to(root.resolve()):
        raise JobRefused(f"The artifact {name!r} lies outside of the run's folder", errors=[(name, "no link")])
    return made[0]


def _artifacts(root: Path, name: str) -> list[Artifact]:
    artifacts = []
    for report in sorted(root.rglob("executor_output.json")):
        reported = json.loads(report.read_text()).get("artifacts", {}).get(name, {}).get("artifacts", [])
        metadata = reported[0].get("metadata", {}) if reported else {}
        path = report.parent / name
        if path.exists() or metadata:
            artifacts.append(Artifact(path, metadata))
    return artifacts


def check_holdout(path: Path, label: str) -> None:
    """JobRefused unless the holdout is a Parquet file with rows and the label's column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = "holdout"
    if path.is_symlink() or not path.is_file():
        raise JobRefused("The pipeline's artifact 'holdout' is not a file", errors=[(place, "one Parquet file")])
    try:
        meta = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise JobRefused(
            f"The pipeline's artifact 'holdout' is not Parquet: {error}", errors=[(place, "Parquet")]
        ) from None
    if label not in meta.schema.to_arrow_schema().names:
        raise JobRefused(f"The holdout has no column {label!r}", errors=[(place, f"has the label {label!r}")])
    if meta.num_rows == 0:
        raise JobRefused("The holdout has no rows", errors=[(place, "at least one row")])


def read_metrics(root: Path, name: str, outputs: dict[str, str]) -> dict[str, float]:
    """Finite numbers of the artifact's metadata and of its file, if that is a JSON object. None made: empty."""
    if name not in outputs and not _artifacts(root, name):
        return {}
    artifact = find_artifact(root, name, outputs)
    values: dict[str, object] = dict(artifact.metadata)
    if artifact.path.is_file() and artifact.path.stat().st_size <= MAX_METRICS_BYTES:
        try:
            content = json.loads(artifact.path.read_bytes())
        except ValueError:
            content = {}
        values |= content if isinstance(content, dict) else {}
    return {
        key: float(value)
        for key, value in sorted(values.items())
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
