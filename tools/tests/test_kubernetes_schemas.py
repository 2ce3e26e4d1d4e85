"""Schemas of Kubernetes kinds: closed, without words, with everything that they refer to and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import kubernetes_schemas
from environments import ROOT

META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
SECRET, QUANTITY, EVENT = "io.k8s.api.core.v1.Secret", "io.k8s.Quantity", "io.k8s.api.core.v1.Event"


def reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def kind(name: str) -> list[dict[str, str]]:
    return [{"group": "", "version": "v1", "kind": name}]


SCHEMAS: dict[str, Any] = {
    SECRET: {
        "description": "a secret",
        "type": "object",
        "properties": {
            "metadata": {"allOf": [reference(META)], "default": {}},
            "stringData": {"type": "object", "additionalProperties": {"type": "string", "default": ""}},
            "finalizers": {"type": "array", "items": {"type": "string", "description": "a name"}},
            "anything": {"type": "object", "additionalProperties": reference(QUANTITY)},
        },
        "x-kubernetes-group-version-kind": kind("Secret"),
    },
    META: {"type": "object", "properties": {"name": {"type": "string"}}},
    QUANTITY: {"description": "a number with a unit", "format": "int-or-string"},
    EVENT: {"type": "object", "x-kubernetes-group-version-kind": kind("Event")},
}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A kubectl whose API server has these documents; what is asked for beyond them is refused."""
    documents: dict[str, Any] = {
        "/version": {"major": "1", "minor": "34+"},
        "/openapi/v3/api/v1": {"components": {"schemas": SCHEMAS}},
    }
    program = tmp_path / "kubectl"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\nknown = json.load(open({str(tmp_path / 'documents')!r}))\n"
        "path = sys.argv[-1]\n"
        "sys.exit(f'the server could not find {path}') if path not in known else print(json.dumps(known[path]))\n"
    )
    program.chmod(0o755)
    (tmp_path / "documents").write_text(json.dumps(documents))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(kubernetes_schemas, "KINDS", {"api/v1": ("Secret",)})
    monkeypatch.setattr(kubernetes_schemas, "FOLDER", tmp_path / "schemas")
    monkeypatch.setattr(kubernetes_schemas, "ROOT", tmp_path)
    return documents


def written(tmp_path: Path) -> dict[str, Any]:
    kubernetes_schemas.main()
    found: dict[str, Any] = json.loads((tmp_path / "schemas" / "kubernetes-1.34.json").read_text())
    return found


def test_a_kind_comes_with_what_it_refers_to(cluster: dict[str, Any], tmp_path: Path) -> None:
    found = written(tmp_path)
    assert found["kinds"] == {"v1/Secret": SECRET}
    assert sorted(found["definitions"]) == sorted([SECRET, META, QUANTITY])
    assert "description" not in json.dumps(found) and '"default"' not in json.dumps(found)


@pytest.mark.parametrize(
    ("manifest", "fault"),
    [
        ({"metadata": {"name": "a"}, "stringData": {"a": "b"}, "anything": {"cpu": "1", "memory": 2}}, ""),
        ({"metadata": {"nmae": "a"}}, "'nmae' was unexpected"),
        ({"stringdata": {}}, "'stringdata' was unexpected"),
        ({"stringData": {"a": 1}}, "1 is not of type 'string'"),
        ({"finalizers": "a"}, "'a' is not of type 'array'"),
        ({"anything": {"cpu": 1.5}}, "1.5 is not of type 'integer', 'string'"),
    ],
)
def test_a_typo_is_an_error_and_an_amount_may_be_either(
    manifest: dict[str, Any], fault: str, cluster: dict[str, Any], tmp_path: Path
) -> None:
    found = written(tmp_path)
    schema = {"$ref": f"#/definitions/{found['kinds']['v1/Secret']}", "definitions": found["definitions"]}
    said = [error.message for error in Draft202012Validator(schema).iter_errors(manifest)]
    assert len(said) == bool(fault) and fault in "".join(said)


def test_what_the_api_server_does_not_have_is_told_in_its_words(
    cluster: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_schemas, "KINDS", {"apis/apps/v1": ("Deployment",)})
    with pytest.raises(SystemExit, match="kubernetes_schemas: the server could not find /openapi/v3/apis/apps/v1"):
        kubernetes_schemas.take()


def test_the_committed_schemas_have_every_kind_that_is_taken() -> None:
    files = list((ROOT / "tests" / "charts" / "schemas").glob("kubernetes-*.json"))
    assert files
    wanted = {
        f"{group.removeprefix('apis/').removeprefix('api/')}/{one}"
        for group, kinds in kubernetes_schemas.KINDS.items()
        for one in kinds
    }
    for file in files:
        found = json.loads(file.read_text())
        assert set(found["kinds"]) == wanted and set(found["kinds"].values()) <= set(found["definitions"])
