"""What the charts give a service, for fakes of the Kubernetes API: everything else is forbidden there as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from capstan_testkit.harness import repository_root

Rules = Sequence[Mapping[str, Any]]


def chart_rights(service: str) -> Rules:
    """The rules of a service's Role, from the file that the rendered charts are compared with."""
    agreed = repository_root() / "tests" / "charts" / "golden" / "rbac.yaml"
    rules: Rules = yaml.safe_load(agreed.read_text())[f"capstan-{service}"]
    return rules


def forbidden(rules: Rules, verb: str, resource: str, group: str = "") -> str:
    """The API's sentence where no rule allows it; empty where one does."""
    if any(verb in rule["verbs"] and resource in rule["resources"] and group in rule["apiGroups"] for rule in rules):
        return ""
    return f'{resource} is forbidden: cannot {verb} resource "{resource}" in API group "{group}"'
