"""Logs runs to MLflow by its REST, through the MLflow proxy of the registry, which starts MLflow when it is needed.

Routes and limits: https://mlflow.org/docs/latest/rest-api.html. The dataset's digest may have 36 characters and a
parameter's value 6000.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, TypeAlias

from capstan_contracts.documents import Scalar
from capstan_contracts.ids import short
from capstan_servicekit.errors import Upstream
from capstan_servicekit.peers import Peers
from capstan_training.actions.ports import RunRecord

Body: TypeAlias = dict[str, Any]
"""A body of MLflow's REST: JSON whose fields MLflow defines."""

ROOT = "/mlflow/api/2.0/mlflow"
RUN_TAG = "capstan.run"


class MlflowTracking:
    """One experiment per loop, one run per run, found again by its tag: calling twice logs once."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def log_run(self, record: RunRecord) -> str:
        """Log a run; its id in MLflow."""
        experiment = await self._experiment(f"{record.project}/{record.loop}")
        run = await self._find(experiment, record.run) or await self._create(experiment, record)
        stamp = _millis(record.finished_at)
        metrics = [{"key": k, "value": v, "timestamp": stamp, "step": 0} for k, v in sorted(record.metrics.items())]
        params = [{"key": k, "value": _text(v)} for k, v in sorted(record.parameters.items())]
        # at most 100 parameters and 1000 entities a call; a pipeline has a handful of each
        for start in range(0, max(len(params), len(metrics), 1), 100):
            body = {"metrics": metrics[start : start + 100], "params": params[start : start + 100]}
            await self._post("runs/log-batch", {"run_id": run, **body})
        await self._post("runs/log-inputs", {"run_id": run, "datasets": [_dataset(record)]})
        await self._post("runs/update", {"run_id": run, "status": "FINISHED", "end_time": stamp})
        return run

    async def _experiment(self, name: str) -> str:
        named = await self._post("experiments/search", {"filter": f"name = '{name}'", "max_results": 1})
        for experiment in named.get("experiments", []):
            return str(experiment["experiment_id"])
        return str((await self._post("experiments/create", {"name": name}))["experiment_id"])

    async def _find(self, experiment: str, run: str) -> str | None:
        query = {"experiment_ids": [experiment], "filter": f"tags.`{RUN_TAG}` = '{run}'", "max_results": 1}
        for tagged in (await self._post("runs/search", query)).get("runs", []):
            return str(tagged["info"]["run_id"])
        return None

    async def _create(self, experiment: str, record: RunRecord) -> str:
        tags = {RUN_TAG: record.run, "capstan.package": record.package, "capstan.loop": record.loop, **record.tags}
        body = {
            "experiment_id": experiment,
            "run_name": f"{record.loop}-{record.run[-12:]}",
            "start_time": _millis(record.started_at),
            "tags": [{"key": key, "value": value} for key, value in sorted(tags.items())],
        }
        return str((await self._post("runs/create", body))["run"]["info"]["run_id"])

    async def _post(self, route: str, body: Body) -> Body:
        response = await self._peers.request("registry", "POST", f"{ROOT}/{route}", body=json.dumps(body))
        try:
            answer = response.json()
        except ValueError as error:
            raise Upstream(f"MLflow's answer to {route} is not JSON") from error
        if not isinstance(answer, dict):
            raise Upstream(f"MLflow's answer to {route} is not an object")
        return answer


def _dataset(record: RunRecord) -> Body:
    source = {"uri": f"capstan:{record.project}:dataset/{record.dataset}@{short(record.dataset_version)}"}
    return {
        "tags": [{"key": "mlflow.data.context", "value": "training"}],
        "dataset": {
            "name": record.dataset,
            "digest": short(record.dataset_version),
            "source_type": "capstan",
            "source": json.dumps(source),
        },
    }


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _text(value: Scalar) -> str:
    return (value if isinstance(value, str) else json.dumps(value))[:6000]
