"""MLflow's tracking REST in memory: the routes, limits and refusals that logging a run meets.

https://mlflow.org/docs/latest/rest-api.html. It knows no users, artifacts or models, and searches only what the
training service asks: experiments by name, runs by one tag.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

ROOT = "/mlflow/api/2.0/mlflow/"
Json = dict[str, Any]
MOST_PARAMS, MOST_METRICS, LONGEST_PARAM, LONGEST_DIGEST = 100, 1000, 6000, 36


class Refused(Exception):
    """INVALID_PARAMETER_VALUE, or RESOURCE_DOES_NOT_EXIST."""


@dataclass
class FakeRun:
    """A run as MLflow keeps it; times in Unix milliseconds."""

    experiment: str
    name: str
    start_time: int
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    datasets: dict[str, Json] = field(default_factory=dict)
    status: str = "RUNNING"
    end_time: int | None = None


@dataclass
class FakeMlflow:
    """Answers requests below ROOT. `away` is how many of the next requests find it still being started."""

    away: int = 0
    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, FakeRun] = field(default_factory=dict)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away > 0:
            self.away -= 1
            body = {"title": "no", "status": 502, "code": "upstream-unavailable", "detail": "MLflow is being started"}
            return httpx.Response(502, json=body)
        route = request.url.path.removeprefix(ROOT)
        body = json.loads(request.content) if request.method == "POST" else dict(request.url.params)
        answer = self._routes().get(f"{request.method} {route}")
        try:
            if answer is None:
                raise Refused(f"there is no {request.method} {route}")
            return httpx.Response(200, json=answer(body))
        except Refused as error:
            return httpx.Response(400, json={"error_code": "INVALID_PARAMETER_VALUE", "message": str(error)})

    def _routes(self) -> Mapping[str, Callable[[Json], Json]]:
        return {
            "POST experiments/search": self._search_experiments,
            "POST experiments/create": self._create_experiment,
            "POST runs/search": self._search_runs,
            "POST runs/create": self._create_run,
            "POST runs/log-batch": self._log_batch,
            "POST runs/log-inputs": self._log_inputs,
            "POST runs/update": self._update_run,
            "GET runs/get": lambda body: {"run": self._shown(body["run_id"])},
        }

    def _search_experiments(self, body: Json) -> Json:
        wanted = _quoted(body["filter"])
        experiments = [{"experiment_id": id_, "name": name} for name, id_ in self.experiments.items() if name == wanted]
        return {"experiments": experiments} if experiments else {}

    def _create_experiment(self, body: Json) -> Json:
        if body["name"] in self.experiments:
            raise Refused(f"Experiment '{body['name']}' already exists.")
        return {"experiment_id": self.experiments.setdefault(body["name"], str(len(self.experiments) + 1))}

    def _search_runs(self, body: Json) -> Json:
        tag = re.match(r"tags\.`([^`]+)` = '", body["filter"])
        if tag is None:
            raise Refused(f"this filter is not understood: {body['filter']}")
        runs = [
            {"info": {"run_id": id_}}
            for id_, run in self.runs.items()
            if run.experiment in body["experiment_ids"] and run.tags.get(tag[1]) == _quoted(body["filter"])
        ]
        return {"runs": runs} if runs else {}

    def _create_run(self, body: Json) -> Json:
        if body["experiment_id"] not in self.experiments.values():
            raise Refused(f"No Experiment with id={body['experiment_id']} exists")
        id_, tags = f"m{len(self.runs)}", {tag["key"]: tag["value"] for tag in body["tags"]}
        self.runs[id_] = FakeRun(body["experiment_id"], body["run_name"], body["start_time"], tags)
        return {"run": {"info": {"run_id": id_}}}

    def _log_batch(self, body: Json) -> Json:
        run, params, metrics = self._run(body["run_id"]), body["params"], body["metrics"]
        if len(params) > MOST_PARAMS or len(metrics) > MOST_METRICS:
            raise Refused(f"at most {MOST_PARAMS} params and {MOST_METRICS} metrics are taken in one batch")
        for param in params:
            if len(param["value"]) > LONGEST_PARAM:
                raise Refused(f"Param value for {param['key']} exceeds the length of {LONGEST_PARAM}")
            if run.params.setdefault(param["key"], param["value"]) != param["value"]:
                raise Refused(f"Changing param values is not allowed: {param['key']}")
        run.metrics |= {metric["key"]: metric["value"] for metric in metrics}
        return {}

    def _log_inputs(self, body: Json) -> Json:
        run = self._run(body["run_id"])
        for dataset_input in body["datasets"]:
            if len(dataset_input["dataset"]["digest"]) > LONGEST_DIGEST:
                raise Refused(f"Dataset digest exceeds the maximum length of {LONGEST_DIGEST}")
            run.datasets[f"{dataset_input['dataset']['name']} {dataset_input['dataset']['digest']}"] = dataset_input
        return {}

    def _update_run(self, body: Json) -> Json:
        run = self._run(body["run_id"])
        run.status, run.end_time = body["status"], body["end_time"]
        return {}

    def _run(self, id_: str) -> FakeRun:
        if id_ not in self.runs:
            raise Refused(f"Run with id={id_} not found")
        return self.runs[id_]

    def _shown(self, id_: str) -> Json:
        run = self._run(id_)
        info = {"run_id": id_, "run_name": run.name, "experiment_id": run.experiment, "status": run.status}
        return {
            "info": info | {"start_time": run.start_time, "end_time": run.end_time},
            "data": {
                "params": [{"key": key, "value": value} for key, value in run.params.items()],
                "metrics": [{"key": key, "value": value} for key, value in run.metrics.items()],
                "tags": [{"key": key, "value": value} for key, value in run.tags.items()],
            },
            "inputs": {"dataset_inputs": list(run.datasets.values())},
        }


def _quoted(condition: str) -> str:
    return condition.split("'")[1]
