"""MLflow as the catalogue of model versions: its REST API, foreign errors mapped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from capstan_registry.adapters.mlflow_process import PREFIX, MlflowProcess
from capstan_servicekit.errors import NotReady, Upstream

API = f"{PREFIX}/api/2.0/mlflow"
_EXISTS = "RESOURCE_ALREADY_EXISTS"


class MlflowCatalogue:
    """Implements `ModelCatalogue`."""

    def __init__(self, process: MlflowProcess) -> None:
        self._process = process

    async def ensure_version(self, name: str, *, run: str, source: str, tags: Mapping[str, str]) -> int:
        """The version of `name` that carries the tag of `run`, made when there is none yet."""
        async with self._process.using() as client:
            await _call(client, "POST", "registered-models/create", {"name": name}, ignore=_EXISTS)
            query = f"name = '{name}' and tags.`capstan.run` = '{run}'"
            matches = await _call(client, "GET", "model-versions/search", {"filter": query})
            if versions := matches.get("model_versions"):
                return min(int(version["version"]) for version in versions)
            listed = [{"key": key, "value": value} for key, value in tags.items()]
            made = await _call(
                client, "POST", "model-versions/create", {"name": name, "source": source, "tags": listed}
            )
            return _integer(made)

    async def set_alias(self, name: str, alias: str, version: int) -> None:
        """Point the alias at the version."""
        async with self._process.using() as client:
            body = {"name": name, "alias": alias, "version": str(version)}
            await _call(client, "POST", "registered-models/alias", body)


def _integer(made: Mapping[str, Any]) -> int:
    try:
        return int(made["model_version"]["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise Upstream("MLflow answered a version without a number") from error


async def _call(
    client: httpx.AsyncClient, method: str, path: str, values: Mapping[str, object], *, ignore: str = ""
) -> dict[str, Any]:
    url = f"{API}/{path}"
    try:
        if method == "GET":
            response = await client.get(url, params={key: str(value) for key, value in values.items()})
        else:
            response = await client.request(method, url, json=dict(values))
    except httpx.TransportError as error:
        raise NotReady(f"MLflow's server does not answer: {type(error).__name__}") from error
    try:
        answer = response.json()
    except ValueError as error:
        raise Upstream(f"MLflow answered {response.status_code} and something that is not JSON") from error
    if response.is_success and isinstance(answer, dict):
        return answer
    code = answer.get("error_code", "") if isinstance(answer, dict) else ""
    if ignore and code == ignore:
        return {}
    raise Upstream(f"MLflow refused {path}: {response.status_code} {code}")
