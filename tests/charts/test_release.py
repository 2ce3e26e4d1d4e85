"""What single scenarios and values lead to, and what wrong values are answered with."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path

import pytest
import yaml

from capstan_contracts.ids import SERVICES
from capstan_contracts.roles import Role
from capstan_servicekit.settings import ServiceSettings
from environments import ROOT
from rendered import SCENARIOS, Json, Manifests, helm, render

pytestmark = pytest.mark.helm
GOLDEN = Path(__file__).with_name("golden") / "rbac.yaml"


def rights(manifests: Manifests) -> Json:
    """Each service account's rules."""
    return {one["metadata"]["name"]: one["rules"] for one in manifests.of("Role")}


def test_rights_are_those_that_were_agreed(scenarios: dict[str, Manifests]) -> None:
    assert rights(scenarios["development"]) == yaml.safe_load(GOLDEN.read_text())
    assert scenarios["development"].of("ClusterRole", "ClusterRoleBinding") == []


def test_without_pods_of_their_own_services_have_no_rights(scenarios: dict[str, Manifests]) -> None:
    tiny = scenarios["tiny"]
    assert rights(tiny) == {} and tiny.of("RoleBinding", "NetworkPolicy") == []
    assert {one["metadata"]["name"] for one in tiny.of("ServiceAccount")} == {f"capstan-{name}" for name in SERVICES}


def test_requests_fit_a_small_node(scenarios: dict[str, Manifests]) -> None:
    cpu = memory = 0
    for _, template in scenarios["development"].pods:
        for container in template["spec"]["containers"]:
            requests = container["resources"]["requests"]
            assert requests["cpu"].endswith("m") and requests["memory"].endswith("Mi")
            cpu += int(requests["cpu"][:-1])
            memory += int(requests["memory"][:-2])
    assert cpu <= 600
    assert memory <= 1536


def test_tokens_are_in_secrets_and_their_digests_among_the_principals(scenarios: dict[str, Manifests]) -> None:
    secrets = {one["metadata"]["name"]: one["stringData"] for one in scenarios["development"].of("Secret")}
    entries = json.loads(secrets.pop("capstan-principals")["principals.json"])["principals"]
    tokens = {name.removeprefix("capstan-identity-"): held["token"] for name, held in secrets.items()}
    tokens["admin"] = tokens.pop("capstan-token")
    assert len(set(tokens.values())) == len(SERVICES) + 2
    assert all(token.startswith("cap_") and len(token) == 47 for token in tokens.values())
    digests = {name: hashlib.sha256(token.encode()).hexdigest() for name, token in tokens.items()}
    assert {one["id"]: one["token_sha256"] for one in entries} == digests
    roles = {one["id"]: (one["kind"], one["roles"]) for one in entries}
    assert roles.pop("admin") == ("user", {"*": Role.ADMIN.value})
    assert set(map(str, roles.values())) == {str(("service", {"*": Role.SERVICE.value}))}


def test_existing_secrets_are_left_alone(scenarios: dict[str, Manifests]) -> None:
    existing = scenarios["existing-secrets"]
    assert existing.of("Secret") == []
    volumes = existing.named("Deployment", "capstan-training")["spec"]["template"]["spec"]["volumes"]
    assert {one["secret"]["secretName"] for one in volumes if "secret" in one} == {
        "vault-principals",
        "vault-identity-training",
    }


def test_replicas_have_a_budget_and_a_single_pod_has_none(scenarios: dict[str, Manifests]) -> None:
    assert scenarios["development"].of("PodDisruptionBudget") == []
    available = scenarios["high-availability"]
    assert len(available.of("PodDisruptionBudget")) == len(SERVICES)
    pod = available.named("Deployment", "capstan-monitoring")["spec"]["template"]
    assert pod["metadata"]["labels"]["team"] == "ml"
    assert pod["metadata"]["annotations"]["example.org/owner"] == "ml"
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}


def test_settings_arrive_as_they_were_written(scenarios: dict[str, Manifests]) -> None:
    data = scenarios["bring-your-own"].named("ConfigMap", "ml-ingestion")["data"]
    assert data["CAPSTAN_INGESTION_MAX_UPLOAD_BYTES"] == "10737418240"
    assert json.loads(data["CAPSTAN_INGESTION_ALLOW_PULL_HOSTS"]) == ["data.example.org"]
    assert data["CAPSTAN_OBJECT_STORE_URL"] == "s3://acme-ml/capstan/production"
    assert json.loads(data["CAPSTAN_PEERS"])["registry"] == "http://ml-registry:7104"


def test_a_changed_setting_makes_new_pods(umbrella: Path) -> None:
    def checksum(*options: str) -> str:
        deployment = render(umbrella, *options).named("Deployment", "capstan-training")
        found: str = deployment["spec"]["template"]["metadata"]["annotations"]["capstan.dev/config-checksum"]
        return found

    assert checksum() == checksum()
    assert checksum() != checksum("--set", "training.settings.poll_s=2")


def test_mlflow_has_a_socket_and_no_port(scenarios: dict[str, Manifests]) -> None:
    pod = scenarios["development"].named("Deployment", "capstan-registry")["spec"]["template"]["spec"]
    registry, mlflow = pod["containers"]
    assert mlflow["name"] == "mlflow" and "ports" not in mlflow
    mounts = [{one["name"]: one["mountPath"] for one in container["volumeMounts"]} for container in (registry, mlflow)]
    assert mounts[0]["mlflow"] == mounts[1]["mlflow"] == "/run/mlflow"
    assert [one["name"] for one in pod["initContainers"]] == ["streams", "migrate"]


def test_model_servers_get_requests_and_limits(scenarios: dict[str, Manifests]) -> None:
    data = scenarios["high-availability"].named("ConfigMap", "capstan-inference")["data"]
    assert data["CAPSTAN_INFERENCE_MODEL_CPU"] == "500m/1"
    assert data["CAPSTAN_INFERENCE_MODEL_MEMORY"] == "192Mi/1Gi"
    assert data["CAPSTAN_INFERENCE_MODEL_REPLICAS"] == "3"


def test_a_model_server_in_the_pod_of_the_service_has_a_port_there(scenarios: dict[str, Manifests]) -> None:
    def ports(scenario: str) -> list[int]:
        return [one["port"] for one in scenarios[scenario].named("Service", "capstan-inference")["spec"]["ports"]]

    assert (ports("tiny"), ports("development")) == ([7105, 7110], [7105])


def test_variables_are_settings_that_the_service_has(scenarios: dict[str, Manifests]) -> None:
    """A renamed setting would otherwise be ignored in silence."""
    for manifests in scenarios.values():
        for name, one in ((one["metadata"]["name"], one) for one in manifests.of("ConfigMap")):
            service = name.partition("-")[2]
            fields = settings_of(service).model_fields
            prefix = f"CAPSTAN_{service.upper().replace('-', '_')}_"
            unknown = [key for key in one["data"] if short(key, prefix) not in fields]
            assert unknown == [], name


def settings_of(service: str) -> type[ServiceSettings]:
    found: type[ServiceSettings] = importlib.import_module(f"capstan_{service.replace('-', '_')}.settings").Settings
    return found


def short(variable: str, prefix: str) -> str:
    return variable.removeprefix(prefix if variable.startswith(prefix) else "CAPSTAN_").lower()


def test_a_service_chart_works_alone(umbrella: Path) -> None:
    alone = render(umbrella.parent / "monitoring", "--set", "global.name=capstan")
    assert alone.named("Deployment", "capstan-monitoring")


def test_a_pod_for_work_on_the_code(umbrella: Path) -> None:
    pod = render(umbrella, "--set", "ingestion.development.reload=true").named("Deployment", "capstan-ingestion")
    (container,), (migrate,) = (pod["spec"]["template"]["spec"][kind] for kind in ("containers", "initContainers"))
    assert migrate["command"][-2:] == ["-m", "capstan_ingestion"]  # it has to come to an end
    assert container["securityContext"]["readOnlyRootFilesystem"] is False
    assert container["command"][-2:] == ["capstan_servicekit.http.reload", "capstan_ingestion"]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("global.imag.tag=1", "additional properties 'imag' not allowed"),
        ("ingestion.replcas=2", "additional properties 'replcas' not allowed"),
        ("trainig.replicas=2", "additional properties 'trainig' not allowed"),
        ("ingestion.settings.lease=3", "additional properties 'lease' not allowed"),
        ("global.image.tag=latest", "not"),
        ("ingestion.replicas=0", "minimum"),
        ("ingestion.resources.limits.memory=lots", "does not match pattern"),
        ("global.image.pullPolicy=Sometimes", "must be one of"),
        ("training.executor=slurm", "must be one of"),
        ("global.data.nats.url=localhost:4222", "does not match pattern"),
        ("ingestion.settings.lease_s=soon", "want number"),
    ],
)
def test_wrong_values_are_refused_with_their_place(umbrella: Path, option: str, words: str) -> None:
    done = helm("template", "capstan", str(umbrella), "--set", option)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    assert words in done.stderr
    last = option.partition("=")[0].rpartition(".")[0].rpartition(".")[2]
    assert last in done.stderr


def test_lint_is_content(umbrella: Path) -> None:
    charts = [str(umbrella), str(ROOT / "k8s" / "dev"), *(str(umbrella.parent / name) for name in SERVICES)]
    done = helm("lint", "--strict", *charts)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name.removesuffix("-values.yaml"))
def test_each_scenario_passes_lint(umbrella: Path, scenario: Path) -> None:
    done = helm("lint", "--strict", str(umbrella), "--values", str(scenario))
    assert done.returncode == 0, done.stdout
