"""Rules that every object of every scenario keeps."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from environments import ROOT
from rendered import Json, Manifests, matches

pytestmark = pytest.mark.helm
SCHEMAS = ROOT / "tests" / "charts" / "schemas" / "kubernetes-1.34.json"
OF_OTHERS = {"monitoring.coreos.com/v1/ServiceMonitor"}
"""Kinds of operators that a cluster may have: no schema of theirs is in a Kubernetes API server."""
MADE_BY_OTHERS = {"platform-data", "vault-data", "capstan-data", "registry-login"}
VAULT = {f"vault-{name}" for name in ("principals", "token", "identity-model-server")}


@cache
def validator(kind: str) -> Draft202012Validator:
    taken = json.loads(SCHEMAS.read_text(encoding="utf-8"))
    return Draft202012Validator({"$ref": f"#/definitions/{taken['kinds'][kind]}", "definitions": taken["definitions"]})


def problems(one: Json) -> list[str]:
    kind = f"{one['apiVersion']}/{one['kind']}"
    if kind in OF_OTHERS:
        return []
    found = validator(kind).iter_errors(one)
    return [f"{kind} {one['metadata']['name']} at {error.json_path}: {error.message[:300]}" for error in found]


def test_objects_fit_the_schemas_of_kubernetes(manifests: Manifests) -> None:
    assert [problem for one in manifests.objects for problem in problems(one)] == []


def test_the_schemas_see_a_typo(development_data: Manifests) -> None:
    wrong = json.loads(json.dumps(development_data.of("StatefulSet")[0]))
    wrong["spec"]["template"]["spec"]["containers"][0]["resorces"] = {}
    wrong["spec"]["replicas"] = "one"
    assert len(problems(wrong)) == 2


def test_names_are_unique(manifests: Manifests) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests.objects]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 for _, name in names)


def test_every_object_has_the_recommended_labels(manifests: Manifests) -> None:
    wanted = {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component", "part-of", "managed-by")}
    lacking = {one["metadata"]["name"]: wanted - set(one["metadata"].get("labels", {})) for one in manifests.objects}
    assert {name: labels for name, labels in lacking.items() if labels} == {}


def test_images_have_a_version(manifests: Manifests) -> None:
    for place, _, container in manifests.containers():
        assert re.search(r":(?!latest$)[\w][\w.-]*$", container["image"]), place


def test_every_container_has_requests_and_limits(manifests: Manifests) -> None:
    for place, _, container in manifests.containers():
        for side in ("requests", "limits"):
            assert set(container["resources"][side]) == {"cpu", "memory"}, place


def test_every_container_that_stays_has_probes(manifests: Manifests) -> None:
    for name, template in manifests.pods:
        for container in template["spec"]["containers"]:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert probe in container, f"{name}/{container['name']}"


def test_a_container_that_ends_leaves_its_last_words(manifests: Manifests) -> None:
    for place, _, container in manifests.containers():
        if container["name"] != "bucket":
            assert container["terminationMessagePolicy"] == "FallbackToLogsOnError", place


def test_pods_keep_to_the_restricted_standard(manifests: Manifests) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and a read-only root."""
    for place, spec, container in manifests.containers():
        pod, own = spec["securityContext"], container["securityContext"]
        assert pod["runAsNonRoot"] is True and pod["runAsUser"] > 0, place
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, place
        assert own["allowPrivilegeEscalation"] is False and own["capabilities"] == {"drop": ["ALL"]}, place
        assert own["readOnlyRootFilesystem"] is True, place
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), place
        kinds = {key for volume in spec["volumes"] for key in volume if key != "name"}
        assert kinds <= {"emptyDir", "secret", "configMap", "persistentVolumeClaim"}, place


def test_what_a_pod_may_fill_is_bounded(manifests: Manifests) -> None:
    for name, template in manifests.pods:
        for volume in template["spec"]["volumes"]:
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], f"{name}/{volume['name']}"


def test_secrets_are_not_readable_by_everybody_in_a_container(manifests: Manifests) -> None:
    for name, template in manifests.pods:
        for volume in template["spec"]["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440, f"{name}/{volume['name']}"


def test_selectors_find_their_pods(manifests: Manifests) -> None:
    for workload in manifests.of("Deployment", "StatefulSet"):
        assert matches(workload["spec"]["selector"], workload["spec"]["template"]["metadata"]["labels"])
    for service in manifests.of("Service"):
        selector = {"matchLabels": service["spec"]["selector"]}
        found = [template for _, template in manifests.pods if matches(selector, template["metadata"]["labels"])]
        assert len(found) == 1, service["metadata"]["name"]
        ports = {port["name"] for container in found[0]["spec"]["containers"] for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for budget in manifests.of("PodDisruptionBudget"):
        labels = [template["metadata"]["labels"] for _, template in manifests.pods]
        assert sum(matches(budget["spec"]["selector"], one) for one in labels) == 1


def references(spec: Json, container: Json) -> list[tuple[str, str, str]]:
    """Kind, name and key ("" for all) of everything that a container reads."""
    found = [("ConfigMap", one["configMapRef"]["name"], "") for one in container.get("envFrom", [])]
    for one in container.get("env", []):
        if reference := one.get("valueFrom", {}).get("secretKeyRef"):
            found.append(("Secret", reference["name"], reference["key"]))
    found += [("Secret", one["secret"]["secretName"], "") for one in spec["volumes"] if "secret" in one]
    return found


def test_everything_that_pods_read_is_there(manifests: Manifests, development_data: Manifests) -> None:
    held = {(one["kind"], one["metadata"]["name"]): one for one in manifests.of("ConfigMap", "Secret")}
    keys = set(development_data.named("Secret", "capstan-data")["stringData"])
    for place, spec, container in manifests.containers():
        for kind, name, key in references(spec, container):
            if (one := held.get((kind, name))) is not None:
                assert not key or key in one["stringData"], f"{place} reads {key} of {name}"
            elif name in MADE_BY_OTHERS:
                assert key in keys, f"{place} reads {key}, which k8s/dev does not make"
            else:
                assert name in VAULT or re.fullmatch(r"vault-identity-[a-z-]+", name), f"{place} reads {kind} {name}"


def test_mounts_have_their_volumes(manifests: Manifests) -> None:
    for place, spec, container in manifests.containers():
        volumes = {one["name"] for one in spec["volumes"]} | {"data"}
        assert {one["name"] for one in container.get("volumeMounts", [])} <= volumes, place


def test_only_those_who_have_rights_hold_a_token(manifests: Manifests) -> None:
    bound = {subject["name"] for one in manifests.of("RoleBinding") for subject in one["subjects"]}
    for account in manifests.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for name, template in manifests.pods:
        spec: dict[str, Any] = template["spec"]
        assert spec["automountServiceAccountToken"] is (spec.get("serviceAccountName") in bound), name
