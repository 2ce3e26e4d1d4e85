"""What Helm makes of a chart, as objects with the questions that tests ask of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from capstan_testkit.required import missing
from environments import ROOT

Json = dict[str, Any]
RELEASE, NAMESPACE = "capstan", "somewhere"
SCENARIOS = sorted((ROOT / "charts" / "capstan" / "ci").glob("*-values.yaml"))


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm; its exit status and output. Without helm the test is skipped, or fails where helm has to be."""
    if shutil.which("helm") is None:
        missing("helm is not on the PATH")
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False, timeout=60)


@dataclass(frozen=True)
class Manifests:
    """All objects of one rendered release."""

    objects: tuple[Json, ...]

    def of(self, *kinds: str) -> list[Json]:
        """The objects of some kinds."""
        return [one for one in self.objects if one["kind"] in kinds]

    def named(self, kind: str, name: str) -> Json:
        """One object."""
        (found,) = (one for one in self.of(kind) if one["metadata"]["name"] == name)
        return found

    @property
    def pods(self) -> list[tuple[str, Json]]:
        """Name of the workload and pod template of each."""
        workloads = self.of("Deployment", "StatefulSet", "Job")
        return [(one["metadata"]["name"], one["spec"]["template"]) for one in workloads]

    def containers(self) -> Iterator[tuple[str, Json, Json]]:
        """Place, pod specification and container of each container, the initial ones too."""
        for name, template in self.pods:
            spec = template["spec"]
            for container in (*spec.get("initContainers", []), *spec["containers"]):
                yield f"{name}/{container['name']}", spec, container


def render(chart: Path, *options: str, release: str = RELEASE) -> Manifests:
    """The chart's objects; fails with Helm's own words."""
    done = helm("template", release, str(chart), "--namespace", NAMESPACE, *options)
    assert done.returncode == 0, done.stderr
    return Manifests(tuple(one for one in yaml.safe_load_all(done.stdout) if one))


def matches(selector: Json, labels: Json) -> bool:
    """Whether a label selector takes an object with these labels."""
    for wanted in selector.get("matchExpressions", []):
        assert wanted["operator"] == "In"
        if labels.get(wanted["key"]) not in wanted["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
