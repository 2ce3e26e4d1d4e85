"""Take the schemas of the Kubernetes kinds that the charts use from the cluster of kubectl's current context.

    tools/kubernetes_schemas.py            writes tests/charts/schemas/kubernetes-<version>.json

Descriptions and defaults are left out, and an object that lists its fields takes no others: a typo is an error.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from environments import ROOT

FOLDER = ROOT / "tests" / "charts" / "schemas"
KINDS = {
    "api/v1": ("ConfigMap", "Namespace", "PersistentVolumeClaim", "Secret", "Service", "ServiceAccount"),
    "apis/apps/v1": ("Deployment", "StatefulSet"),
    "apis/batch/v1": ("Job",),
    "apis/networking.k8s.io/v1": ("NetworkPolicy",),
    "apis/policy/v1": ("PodDisruptionBudget",),
    "apis/rbac.authorization.k8s.io/v1": ("Role", "RoleBinding"),
}
REFERENCE = "#/components/schemas/"
KEPT = ("type", "format", "enum", "required", "items", "properties", "additionalProperties", "oneOf", "anyOf", "allOf")


def get(path: str) -> dict[str, Any]:
    """One document of the API server."""
    done = subprocess.run(["kubectl", "get", "--raw", path], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"kubernetes_schemas: {done.stderr.strip()}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def references(schema: Any) -> set[str]:
    """Names of the schemas that one refers to."""
    if isinstance(schema, dict):
        own = {schema["$ref"].removeprefix(REFERENCE)} if isinstance(schema.get("$ref"), str) else set()
        return own.union(*(references(part) for part in schema.values()))
    return set().union(*(references(part) for part in schema)) if isinstance(schema, list) else set()


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without words, in plain JSON schema, closed where it lists its fields."""
    if "$ref" in schema:
        return {"$ref": "#/definitions/" + schema["$ref"].removeprefix(REFERENCE)}
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    if len(schema.get("allOf", [])) == 1:
        return compact(schema["allOf"][0])
    kept: dict[str, Any] = {key: schema[key] for key in KEPT if key in schema and key != "format"}
    for key in ("oneOf", "anyOf", "allOf"):
        if key in kept:
            kept[key] = [compact(option) for option in kept[key]]
    if "items" in kept:
        kept["items"] = compact(kept["items"])
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = compact(kept["additionalProperties"])
    if "properties" in kept:
        kept["properties"] = {name: compact(property_) for name, property_ in kept["properties"].items()}
        kept.setdefault("additionalProperties", False)
    return kept


def take() -> dict[str, Any]:
    """`kinds` (apiVersion/kind to definition) and `definitions`, with everything that those refer to."""
    kinds: dict[str, str] = {}
    definitions: dict[str, Any] = {}
    for group, wanted in KINDS.items():
        schemas = get(f"/openapi/v3/{group}")["components"]["schemas"]
        open_ = []
        for name, schema in schemas.items():
            for version_kind in schema.get("x-kubernetes-group-version-kind", []):
                version = f"{version_kind['group']}/{version_kind['version']}".lstrip("/")
                if version_kind["kind"] in wanted and group.endswith(version):
                    kinds[f"{version}/{version_kind['kind']}"] = name
                    open_.append(name)
        while open_:
            name = open_.pop()
            if name not in definitions:
                definitions[name] = compact(schemas[name])
                open_ += references(schemas[name])
    return {"kinds": dict(sorted(kinds.items())), "definitions": dict(sorted(definitions.items()))}


def main() -> None:
    """Write the file of this cluster's version."""
    version = get("/version")
    minor = "".join(digit for digit in version["minor"] if digit.isdigit())
    FOLDER.mkdir(parents=True, exist_ok=True)
    target = FOLDER / f"kubernetes-{version['major']}.{minor}.json"
    taken = take()
    lines = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(definition, separators=(',', ':'))}"
        for name, definition in taken["definitions"].items()
    )
    target.write_text(
        f'{{"kinds":{json.dumps(taken["kinds"], indent=1)},\n"definitions":{{\n{lines}\n}}}}\n', encoding="utf-8"
    )
    print(f"{target.relative_to(ROOT)}: {len(taken['kinds'])} kinds, {target.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
