"""The configuration of Skaffold fits its schema and the rest of the repository, and that of kind fits the services."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from capstan_contracts.ids import SERVICES
from capstan_servicekit.settings import LOCAL_PORTS
from environments import ROOT
from rendered import Manifests, helm, render

SCHEMA = ROOT / "tests" / "charts" / "schemas" / "skaffold-v4beta14.json"
CONFIGS = ["skaffold.yaml", *(f"services/{name}/skaffold.yaml" for name in SERVICES)]


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_fits_the_schema(name: str) -> None:
    validator = Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert [error.message[:300] for error in validator.iter_errors(read(name))] == []
    wrong = read(name) | {"biuld": {}}
    assert list(validator.iter_errors(wrong))


def test_the_root_requires_each_service() -> None:
    required = {one["path"]: one["configs"] for one in read("skaffold.yaml")["requires"]}
    assert required == {f"services/{name}/skaffold.yaml": [name] for name in SERVICES}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_built_synced_and_forwarded(service: str) -> None:
    config = read(f"services/{service}/skaffold.yaml")
    (artifact,) = config["build"]["artifacts"]
    assert artifact["docker"]["buildArgs"] == {"SERVICE": service}
    assert (ROOT / "services" / service / artifact["context"]).resolve() == ROOT
    for rule in artifact["sync"]["manual"]:
        assert next(ROOT.glob(rule["src"]), None), rule
    (forward,) = config["portForward"]
    assert (forward["resourceName"], forward["port"]) == (f"capstan-{service}", LOCAL_PORTS[service])
    assert {one["name"] for one in config["profiles"]} <= {"dev", "ci"}


@pytest.mark.helm
def test_what_skaffold_sets_are_values_of_the_chart(umbrella: Path) -> None:
    data, release = read("skaffold.yaml")["deploy"]["helm"]["releases"]
    assert (ROOT / data["chartPath"] / "Chart.yaml").exists() and (ROOT / release["chartPath"] / "Chart.yaml").exists()
    images = {name.partition(".")[0]: "registry/x:1" for name in release["setValueTemplates"]}
    assert set(images) == set(SERVICES)
    variables = {f"{{{{.IMAGE_FULLY_QUALIFIED_capstan_{name.replace('-', '_')}}}}}" for name in SERVICES}
    assert set(release["setValueTemplates"].values()) == variables
    (development,) = (one for one in read("skaffold.yaml")["profiles"] if one["name"] == "dev")
    values = {**dict.fromkeys(release["setValueTemplates"], "registry/x:1"), **development["patches"][0]["value"]}
    rendered = render(umbrella, *(part for name, value in values.items() for part in ("--set", f"{name}={value}")))
    assert {container["image"] for _, _, container in rendered.containers()} == {"registry/x:1"}
    assert {container["securityContext"]["readOnlyRootFilesystem"] for _, _, container in rendered.containers()} == {
        False
    }


@pytest.mark.helm
def test_the_ports_of_kind_are_those_of_the_services(umbrella: Path) -> None:
    mapped = read("k8s/kind/cluster.yaml")["nodes"][0]["extraPortMappings"]
    rendered: Manifests = render(umbrella, "--values", str(ROOT / "k8s" / "kind" / "values.yaml"))
    for service, port in LOCAL_PORTS.items():
        (node_port,) = (one["nodePort"] for one in rendered.named("Service", f"capstan-{service}")["spec"]["ports"])
        assert {"containerPort": node_port, "hostPort": port, "listenAddress": "127.0.0.1"} in mapped


@pytest.mark.helm
def test_an_image_without_a_version_is_refused(umbrella: Path) -> None:
    for wrong in ("capstan/registry", "capstan/registry:latest"):
        assert helm("template", "x", str(umbrella), "--set", f"registry.image={wrong}").returncode != 0
