"""Nothing talks to anything that is not named: the policies of each scenario, read as Kubernetes reads them."""

from __future__ import annotations

import pytest

from capstan_contracts.ids import SERVICES
from rendered import NAMESPACE, Json, Manifests, matches

pytestmark = pytest.mark.helm
STARTED = {"training-run", "model-server"}


def labels_of(component: str, base: str = "capstan") -> Json:
    part_of = "capstan-data" if component in {"postgresql", "nats", "redis", "s3"} else "capstan"
    return {
        "app.kubernetes.io/instance": "capstan-data" if part_of == "capstan-data" else base,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/name": component,
        "app.kubernetes.io/part-of": part_of,
    }


def policies(manifests: Manifests, labels: Json) -> list[Json]:
    return [one for one in manifests.of("NetworkPolicy") if matches(one["spec"]["podSelector"], labels)]


def allows(rules: list[Json], side: str, labels: Json, ports: set[int | str]) -> bool:
    for rule in rules:
        if {port["port"] for port in rule["ports"]} & ports:
            for peer in rule[side]:
                if "podSelector" in peer and "namespaceSelector" not in peer and matches(peer["podSelector"], labels):
                    return True
    return False


def connects(manifests: Manifests, source: str, target: str, port: int, name: str = "http") -> bool:
    """Whether both ends let a connection through."""
    out = [rule for one in policies(manifests, labels_of(source)) for rule in one["spec"].get("egress", [])]
    into = [rule for one in policies(manifests, labels_of(target)) for rule in one["spec"].get("ingress", [])]
    return allows(out, "to", labels_of(target), {port}) and allows(into, "from", labels_of(source), {port, name})


@pytest.fixture
def installed(scenarios: dict[str, Manifests], development_data: Manifests) -> Manifests:
    return Manifests((*scenarios["development"].objects, *development_data.objects))


def test_every_pod_is_isolated_in_both_directions(manifests: Manifests) -> None:
    if not manifests.of("NetworkPolicy"):  # the scenario that turns policies off
        return
    for name, template in manifests.pods:
        found = policies(manifests, template["metadata"]["labels"])
        assert {kind for one in found for kind in one["spec"]["policyTypes"]} == {"Ingress", "Egress"}, name


def test_an_unknown_pod_of_the_installation_is_isolated(installed: Manifests) -> None:
    (found,) = policies(installed, labels_of("something-new"))
    assert "ingress" not in found["spec"] and "egress" not in found["spec"]


def test_no_rule_is_open_to_everybody(manifests: Manifests) -> None:
    for one in manifests.of("NetworkPolicy"):
        for side, rules in (("from", one["spec"].get("ingress", [])), ("to", one["spec"].get("egress", []))):
            assert all(rule.get(side) and rule.get("ports") for rule in rules), one["metadata"]["name"]


WAYS = {
    ("feature-store", "ingestion", 7101), ("training", "ingestion", 7101), ("training", "feature-store", 7102),
    ("training", "registry", 7104), ("inference", "registry", 7104), ("monitoring", "ingestion", 7101),
    ("registry", "ingestion", 7101), ("registry", "feature-store", 7102), ("registry", "training", 7103),
    ("registry", "inference", 7105), ("registry", "monitoring", 7106),
    ("training-run", "training", 7103), ("model-server", "inference", 7105), ("inference", "model-server", 7110),
    ("feature-store", "redis", 6379), ("inference", "redis", 6379), ("model-server", "redis", 6379),
    *((service, "postgresql", 5432) for service in SERVICES), *((service, "nats", 4222) for service in SERVICES),
    *((service, "s3", 7070) for service in SERVICES),
}  # fmt: skip


def test_exactly_the_named_ways_are_open(installed: Manifests) -> None:
    ports = {
        "ingestion": 7101, "feature-store": 7102, "training": 7103, "registry": 7104, "inference": 7105,
        "monitoring": 7106, "model-server": 7110, "training-run": 7103, "postgresql": 5432, "nats": 4222,
        "redis": 6379, "s3": 7070,
    }  # fmt: skip
    data = {"postgresql", "nats", "redis", "s3"}
    found = {
        (source, target, port)
        for source in (*SERVICES, *STARTED, *data)
        for target, port in ports.items()
        if source != target and connects(installed, source, target, port, "data" if target in data else "http")
    }
    assert found == WAYS


def test_the_api_server_is_for_two_services(installed: Manifests) -> None:
    reached = set()
    for one in installed.of("NetworkPolicy"):
        for rule in one["spec"].get("egress", []):
            if any("ipBlock" in peer for peer in rule["to"]):
                reached.add(one["metadata"]["name"])
    assert reached == {"capstan-training", "capstan-inference"}


def test_a_way_to_ones_own_data_services(scenarios: dict[str, Manifests]) -> None:
    policy = scenarios["bring-your-own"].named("NetworkPolicy", "ml-feature-store")
    found = {port["port"]: rule["to"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert found[6432] == [{"ipBlock": {"cidr": "10.20.0.0/24"}}]
    assert found[6379] == [{"ipBlock": {"cidr": "10.20.1.0/24"}}]
    assert found[4222] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "messaging"}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "nats"}},
        }
    ]
    ingress = policy["spec"]["ingress"][0]["from"]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}} in ingress


def test_role_bindings_stay_in_the_namespace(manifests: Manifests) -> None:
    for one in manifests.of("RoleBinding"):
        assert [subject["namespace"] for subject in one["subjects"]] == [NAMESPACE]
