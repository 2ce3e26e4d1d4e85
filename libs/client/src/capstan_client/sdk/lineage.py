"""From one prediction to the rows it came from: version, run, features, dataset versions, files, batches."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from capstan_client.sdk.capstan import Capstan
from capstan_client.sdk.transport import CapstanProblem
from capstan_contracts.ids import Urn, short
from capstan_contracts.rest.feature_store import ExplainRequest, Explanation
from capstan_contracts.rest.inference import PredictionRecord
from capstan_contracts.rest.ingestion import Manifest
from capstan_contracts.rest.registry import LedgerEntry, ModelVersion
from capstan_contracts.rest.training import Run


@dataclass(frozen=True)
class FeatureOrigin:
    """One view that was read for the prediction, and the source rows behind its value."""

    view: str
    view_version: str
    status: str
    values: dict[str, Any]
    event_time: str | None
    explanation: Explanation | None
    why_not: str = ""


@dataclass(frozen=True)
class Lineage:
    """Everything that is known of one prediction."""

    prediction: PredictionRecord
    version: ModelVersion
    decision: LedgerEntry | None
    run: Run
    dataset: Manifest
    features: list[FeatureOrigin]
    urns: list[str] = field(default_factory=list)


async def trace(capstan: Capstan, prediction_id: str) -> Lineage:
    """Walk from a prediction id to source files and rows; CapstanProblem when the id is unknown."""
    record = await capstan.inference.prediction(prediction_id)
    version = await capstan.registry.version(record.deployment, record.model_version)
    run, ledger = await asyncio.gather(capstan.training.run(version.run), capstan.registry.ledger(record.deployment))
    dataset = await capstan.ingestion.version(run.dataset, run.dataset_version)
    features = await asyncio.gather(*(_origin(capstan, record, view) for view in sorted(record.feature_times)))
    decision = next((e for e in ledger if e.version == version.version and e.decision == "approved"), None)
    project = capstan.project
    urns = [
        Urn(project, "prediction", record.prediction_id),
        Urn(project, "deployment", record.deployment),
        Urn(project, "model", version.model, str(version.version)),
        Urn(project, "run", run.id),
        Urn(project, "dataset", run.dataset, short(run.dataset_version)),
        *(Urn(project, "view", origin.view, short(origin.view_version)) for origin in features),
    ]
    return Lineage(record, version, decision, run, dataset, list(features), [str(urn) for urn in urns])


async def _origin(capstan: Capstan, record: PredictionRecord, view: str) -> FeatureOrigin:
    at = record.feature_times[view]
    values = {name: value for name, value in record.features.items() if name.startswith(f"{view}__")}
    explanation, why_not = None, ""
    if at is None:
        why_not = "no row was read"
    else:
        keys = record.entity.get(view, {}) if isinstance(record.entity.get(view), dict) else record.entity
        try:
            explanation = await capstan.features.explain(view, ExplainRequest(keys=keys, event_time=at))
        except CapstanProblem as problem:
            why_not = str(problem)
    return FeatureOrigin(
        view, record.view_versions.get(view, ""), record.feature_status.get(view, ""), values,
        at.isoformat() if at else None, explanation, why_not,
    )  # fmt: skip
