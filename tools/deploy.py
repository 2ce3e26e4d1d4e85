"""Install the umbrella chart into the current Kubernetes context, with data services for development, or remove it.

`make deploy` and `make undeploy` are this. It asks before it touches a context that it has not been told of.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chart_files import vendor
from environments import ROOT

KNOWN = ROOT / ".deploy" / "contexts"
CHART, DATA_CHART = ROOT / "charts" / "capstan", ROOT / "k8s" / "dev"
OWN_CONTEXT = "kind-capstan"
PATIENCE_S = 420


class DeployError(Exception):
    """It cannot be done; the text says why and what to do."""


@dataclass(frozen=True)
class Place:
    """Where to, and which images."""

    context: str
    namespace: str = "capstan"
    release: str = "capstan"
    tag: str = "dev"
    values: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    data_services: bool = True
    remove_data: bool = field(default=False, compare=False)


def call(*command: str, stdin: str | None = None) -> str:
    """Run a program; its output. DeployError with its last words."""
    program = shutil.which(command[0])
    if program is None:
        raise DeployError(
            f"{command[0]} is not on the PATH. It is needed to install charts; see docs/kubernetes/install.md."
        )
    done = subprocess.run([program, *command[1:]], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeployError(f"{' '.join(command[:3])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def current_context() -> str:
    """kubectl's current context."""
    return call("kubectl", "config", "current-context").strip()


def kind_loader(context: str) -> str:
    """The program that takes images into the cluster of a context that kind made; empty for others."""
    cluster = context.removeprefix("kind-")
    return "" if cluster == context else f"kind load docker-image --name {cluster}"


def kubectl(place: Place, *arguments: str, stdin: str | None = None) -> str:
    """kubectl in the place's namespace."""
    return call("kubectl", "--context", place.context, "--namespace", place.namespace, *arguments, stdin=stdin)


def helm(place: Place, *arguments: str) -> list[str]:
    """A helm command line for the place."""
    return ["helm", "--kube-context", place.context, "--namespace", place.namespace, *arguments]


def consent(place: Place, *, yes: bool) -> None:
    """Ask once per context; DeployError when the answer is no, or nobody is there to give one."""
    agreed = KNOWN.read_text().splitlines() if KNOWN.exists() else []
    if yes or place.context == OWN_CONTEXT or place.context in agreed:
        return
    if not sys.stdin.isatty():
        raise DeployError(
            f"The context {place.context!r} was never used for this. Say so once: DEPLOY_ARGS=--yes, "
            "or choose another with `kubectl config use-context`."
        )
    answer = input(f"Install into context {place.context!r}, namespace {place.namespace!r}? [y/N] ")
    if answer.strip().lower() not in {"y", "yes"}:
        raise DeployError("Nothing was changed.")
    KNOWN.parent.mkdir(exist_ok=True)
    KNOWN.write_text("\n".join([*agreed, place.context]) + "\n")


def deploy(place: Place) -> float:
    """Install or upgrade; seconds until every pod was ready. DeployError names what is not, and why."""
    began = time.monotonic()
    vendor()
    if place.data_services:
        install(place, f"{place.release}-data", upgrade(place, f"{place.release}-data", DATA_CHART))
    install(place, place.release, upgrade_platform(place))
    return time.monotonic() - began


def upgrade_platform(place: Place) -> list[str]:
    """The command for the umbrella chart with what the place says about values."""
    files = [part for file in place.values for part in ("--values", file)]
    settings = [part for setting in place.settings for part in ("--set", setting)]
    return upgrade(place, place.release, CHART, "--set", f"global.image.tag={place.tag}", *files, *settings)


def upgrade(place: Place, release: str, chart: Path, *options: str) -> list[str]:
    """The command that installs or upgrades a release, and does not wait for its pods."""
    return helm(place, "upgrade", release, str(chart), "--install", "--create-namespace", *options)


def install(place: Place, release: str, command: list[str]) -> None:
    """Run it and wait for the pods, with a line for each change of what is waited for."""
    command = [*command, "--wait", "--timeout", f"{PATIENCE_S}s"]
    began, said = time.monotonic(), ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            time.sleep(1)
            waiting = "; ".join(f"{name} ({reason})" for name, reason in not_ready(place))
            if waiting and waiting != said and process.poll() is None:
                print(f"  {release}: {time.monotonic() - began:4.0f} s, waiting for {waiting}", flush=True)
                said = waiting
        out, error = process.communicate()
    if process.returncode:
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in not_ready(place))
        raise DeployError(f"{release} was not installed: {error.strip() or out.strip()}\n{reasons}".rstrip())
    print(f"  {release}: ready after {time.monotonic() - began:.0f} s", flush=True)


def not_ready(place: Place) -> list[tuple[str, str]]:
    """Pods that are not ready, with the reason that Kubernetes or the program itself gives."""
    try:
        pods: list[dict[str, Any]] = json.loads(kubectl(place, "get", "pods", "--output", "json"))["items"]
    except DeployError:
        return []
    return [(pod["metadata"]["name"], why) for pod in pods if (why := reason(pod))]


def reason(pod: dict[str, Any]) -> str:
    """Why a pod is not ready; empty when it is, or has done its work. A run's pod is never waited for."""
    status, owners = pod.get("status", {}), pod["metadata"].get("ownerReferences", [])
    if status.get("phase") == "Succeeded" or any(owner["kind"] == "Job" for owner in owners):
        return ""
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        state, last = container.get("state", {}), container.get("lastState", {})
        for ended in (state.get("terminated"), last.get("terminated")):
            if ended and ended.get("exitCode"):
                said = (ended.get("message") or "").strip().splitlines()
                return f"{container['name']}: {said[-1] if said else ended.get('reason', 'ended')}"
        waits = state.get("waiting", {}).get("reason", "")
        if waits not in {"", "PodInitializing", "ContainerCreating"}:
            return f"{container['name']}: {waits} {state['waiting'].get('message', '')}".strip()
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return str(scheduled.get("message", "not scheduled"))
    return str(status.get("phase", "starting")).lower()


def undeploy(place: Place) -> None:
    """Remove the release; data and the Secrets that fit them stay unless asked otherwise."""
    _end_model_servers(place)
    for release in (place.release, *([f"{place.release}-data"] if place.remove_data else [])):
        print(call(*helm(place, "uninstall", release, "--ignore-not-found", "--wait")).strip(), flush=True)
    leftovers = f"app.kubernetes.io/part-of=capstan,app.kubernetes.io/instance={place.release}"
    kubectl(place, "delete", "deployments,services,jobs,secrets", "--selector", leftovers, "--ignore-not-found")
    if place.remove_data:
        kubectl(place, "delete", "pvc,secrets", "--selector", f"app.kubernetes.io/instance={place.release}-data")


def _end_model_servers(place: Place) -> None:
    """While inference is there to take what they have logged; it loses its right to bring them back before."""
    kubectl(place, "delete", "rolebinding", f"{place.release}-inference", "--ignore-not-found")
    servers = f"app.kubernetes.io/component=model-server,app.kubernetes.io/instance={place.release}"
    kubectl(place, "delete", "deployments", "--selector", servers, "--cascade=foreground", "--ignore-not-found")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make deploy DEPLOY_ARGS=...", description=__doc__)
    parser.add_argument("verb", choices=("up", "down"))
    parser.add_argument("--context", default="", help="kubectl's context (default: the current one)")
    parser.add_argument("--namespace", default=Place.namespace)
    parser.add_argument("--release", default="capstan")
    parser.add_argument("--tag", default="dev", help="tag of the images")
    parser.add_argument("--values", action="append", default=[], help="a values file for the umbrella chart")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="one value, as helm takes it")
    parser.add_argument("--own-data-services", action="store_true", help="do not install those for development")
    parser.add_argument("--remove-data", action="store_true", help="down: also data services, volumes and secrets")
    parser.add_argument("--yes", action="store_true", help="do not ask about the context")
    given = parser.parse_args()
    try:
        place = Place(
            given.context or current_context(),
            given.namespace,
            given.release,
            given.tag,
            tuple(given.values),
            tuple(given.settings),
            not given.own_data_services,
            given.remove_data,
        )
        consent(place, yes=given.yes)
        if given.verb == "down":
            undeploy(place)
            return 0
        seconds = deploy(place)
    except DeployError as error:
        print(error, file=sys.stderr)
        return 1
    where = f"--context {place.context}"
    if place.namespace != Place.namespace:
        where += f" --namespace {place.namespace}"
    print(f"Ready after {seconds:.0f} s. Next: .venv/bin/capstan {where} status")
    return 0


if __name__ == "__main__":
    sys.exit(main())
