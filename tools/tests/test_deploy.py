"""Deploying: helm's command line, consent for a context, and why a pod is not ready, in the words of who knows."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import deploy
from deploy import DeployError, Place
from environments import ROOT

PLACE = Place("kind-capstan", "ml", "team")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """helm and kubectl as scripts that note their calls; what each prints and returns may be set."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(deploy, "KNOWN", tmp_path / ".deploy" / "contexts")
    monkeypatch.setattr(deploy, "vendor", lambda: None)

    class Programs:
        def set(self, name: str, out: str = "", error: str = "", status: int = 0) -> None:
            (folder / f"{name}.out").write_text(out)
            (folder / f"{name}.error").write_text(error)
            script = folder / name
            script.write_text(
                f"#!{sys.executable}\nimport json, sys\nfolder = {str(folder)!r}\n"
                f"open(folder + '/{name}.log', 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n"
                f"sys.stdout.write(open(folder + '/{name}.out').read())\n"
                f"sys.stderr.write(open(folder + '/{name}.error').read())\nsys.exit({status})\n"
            )
            script.chmod(0o755)

        def calls(self, name: str) -> list[list[str]]:
            log = folder / f"{name}.log"
            return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    made = Programs()
    made.set("kubectl", json.dumps({"items": []}))
    made.set("helm")
    return made


def test_values_and_settings_reach_helm_in_their_order() -> None:
    place = Place("c", "ml", "team", "1.2", ("a.yaml", "b.yaml"), ("x=1", "y=2"))
    assert deploy.upgrade_platform(place) == [
        "helm", "--kube-context", "c", "--namespace", "ml", "upgrade", "team", str(deploy.CHART), "--install",
        "--create-namespace", "--set", "global.image.tag=1.2", "--values", "a.yaml", "--values", "b.yaml",
        "--set", "x=1", "--set", "y=2",
    ]  # fmt: skip


def test_data_services_come_first_and_can_be_left_out(programs: Any) -> None:
    deploy.deploy(PLACE)
    assert [call[call.index("upgrade") + 1] for call in programs.calls("helm")] == ["team-data", "team"]
    assert all("--wait" in call for call in programs.calls("helm"))
    deploy.deploy(Place("kind-capstan", data_services=False))
    assert len(programs.calls("helm")) == 3


def test_a_release_that_helm_refuses_is_told_with_the_pods_that_are_not_ready(programs: Any) -> None:
    waiting = {"name": "registry", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    pod = {"metadata": {"name": "registry-0"}, "status": {"phase": "Pending", "containerStatuses": [waiting]}}
    programs.set("kubectl", json.dumps({"items": [pod]}))
    programs.set("helm", error="timed out waiting for the condition", status=1)
    with pytest.raises(DeployError) as said:
        deploy.deploy(Place("kind-capstan", data_services=False))
    assert str(said.value) == (
        "capstan was not installed: timed out waiting for the condition\n"
        "  registry-0: registry: ImagePullBackOff no such image"
    )


def test_a_program_that_is_missing_is_named_with_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeployError, match=r"kubectl is not on the PATH.*docs/kubernetes/install\.md"):
        deploy.current_context()
    assert (ROOT / "docs" / "kubernetes" / "install.md").is_file()


def test_a_program_that_fails_is_quoted(programs: Any) -> None:
    programs.set("kubectl", error="error: current-context is not set\n", status=1)
    with pytest.raises(DeployError, match="kubectl config current-context: error: current-context is not set"):
        deploy.current_context()


def test_a_new_context_is_asked_about_once(programs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place, asked = Place("production"), list[str]()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)

    def answer(text: str) -> str:
        asked.append(text)
        return "y"

    monkeypatch.setattr("builtins.input", answer)
    deploy.consent(place, yes=False)
    deploy.consent(place, yes=False)
    assert len(asked) == 1 and "'production'" in asked[0]


@pytest.mark.parametrize("answer", ["", "n", "yess"])
def test_anything_but_yes_changes_nothing(programs: Any, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    with pytest.raises(DeployError, match="Nothing was changed"):
        deploy.consent(Place("production"), yes=False)
    assert not deploy.KNOWN.exists()


def test_where_nobody_can_answer_it_says_how_to_agree(programs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(DeployError, match=r"never used for this.*DEPLOY_ARGS=--yes"):
        deploy.consent(Place("production"), yes=False)
    deploy.consent(Place("production"), yes=True)
    deploy.consent(Place(deploy.OWN_CONTEXT), yes=False)


def status(**of: Any) -> dict[str, Any]:
    return {"metadata": {"name": "one", **of.pop("metadata", {})}, "status": of}


ENDED = {"exitCode": 1, "reason": "Error", "message": "starting\nregistry: the database refuses the password\n"}
KILLED, CREATED = {"exitCode": 2, "reason": "OOMKilled"}, {"waiting": {"reason": "ContainerCreating"}}


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        (status(phase="Running", conditions=[{"type": "Ready", "status": "True"}]), ""),
        (status(phase="Succeeded"), ""),
        (status(phase="Pending", metadata={"ownerReferences": [{"kind": "Job"}]}), ""),
        (status(phase="Pending"), "pending"),
        (status(), "starting"),
        (
            status(containerStatuses=[{"name": "app", "lastState": {"terminated": ENDED}}]),
            "app: registry: the database refuses the password",
        ),
        (
            status(initContainerStatuses=[{"name": "wait", "state": {"terminated": KILLED}}]),
            "wait: OOMKilled",
        ),
        (status(phase="Pending", containerStatuses=[{"name": "app", "state": CREATED}]),
         "pending"),
        (
            status(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes have a GPU"}]),
            "0/3 nodes have a GPU",
        ),
    ],
)  # fmt: skip
def test_why_a_pod_is_not_ready(pod: dict[str, Any], why: str) -> None:
    assert deploy.reason(pod) == why


def test_data_stays_unless_asked_otherwise(programs: Any) -> None:
    deploy.undeploy(PLACE)
    assert [call[call.index("uninstall") + 1] for call in programs.calls("helm")] == ["team"]
    assert not any("pvc" in " ".join(call) for call in programs.calls("kubectl"))
    deploy.undeploy(Place("kind-capstan", "ml", "team", remove_data=True))
    assert [call[call.index("uninstall") + 1] for call in programs.calls("helm")][1:] == ["team", "team-data"]
    assert any("pvc,secrets" in call for call in programs.calls("kubectl"))


def test_model_servers_end_before_the_service_that_takes_their_logs(programs: Any) -> None:
    deploy.undeploy(PLACE)
    first = programs.calls("kubectl")[:2]
    assert "team-inference" in first[0] and "rolebinding" in first[0]
    assert any("component=model-server" in word for word in first[1]) and "--cascade=foreground" in first[1]


def test_images_are_loaded_only_into_clusters_that_kind_made() -> None:
    assert deploy.kind_loader("kind-capstan") == "kind load docker-image --name capstan"
    assert deploy.kind_loader("production") == ""


def test_the_command_line_ends_with_what_to_do_next(
    programs: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["deploy", "up", "--context", "kind-capstan", "--namespace", "ml", "--set", "a=1"])
    assert deploy.main() == 0
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .endswith(".venv/bin/capstan --context kind-capstan --namespace ml status")
    )
    programs.set("helm", error="no", status=1)
    assert deploy.main() == 1
    assert "was not installed: no" in capsys.readouterr().err
