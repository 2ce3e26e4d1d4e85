"""Which settings of a service a chart lets through: those that the chart does not give itself."""

from __future__ import annotations

import importlib
from typing import Any

GIVEN_BY_THE_CHART = {
    "home", "host", "port", "database_url", "bus_url", "bus_password", "principals_file", "token_file", "peers",
    "job_pythons", "log_json", "log_level", "object_store_url", "online_store_url", "s3_endpoint", "s3_region",
    "s3_access_key_id", "s3_secret_access_key", "executor", "run_namespace", "run_image", "run_service_account",
    "run_image_pull_policy", "run_callback_url", "run_owner", "model_servers", "model_namespace", "model_image",
    "model_service_account", "model_image_pull_policy", "model_replicas", "model_cpu", "model_memory", "control_url",
    "model_principals_secret", "model_token_secret", "data_secret", "model_owner", "model_server_fd",
    "model_server_host", "model_server_port", "model_server_url", "mlflow_url", "mlflow_store_url",
    "mlflow_artifacts", "mlflow_idle_s",
}  # fmt: skip


def settings_schema(service: str) -> dict[str, Any]:
    """JSON schema of the settings that may be set by values, under the names that the service itself uses."""
    model = importlib.import_module(f"capstan_{service.replace('-', '_')}.settings").Settings
    schema: dict[str, Any] = model.model_json_schema()
    found = {name: one for name, one in schema["properties"].items() if name not in GIVEN_BY_THE_CHART}
    for one in found.values():
        one.pop("title", None)
    return {"type": "object", "additionalProperties": False, "properties": found}
