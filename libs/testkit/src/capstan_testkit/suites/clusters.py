"""What every cluster must do for model servers: take objects as they are given, find them by label, forget them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import pytest

from capstan_contracts.ids import uuid7
from capstan_servicekit.errors import InvalidData

Kind = Literal["Deployment", "Service", "Pod"]
Manifest = dict[str, Any]


class Cluster(Protocol):
    """The port, as inference's tests give it."""

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Server-side apply."""
        ...

    async def get(self, kind: Kind, name: str) -> Manifest | None:
        """One object."""
        ...

    async def find(self, kind: Kind, labels: Mapping[str, str]) -> list[Manifest]:
        """Objects with these labels."""
        ...

    async def delete(self, kind: Kind, name: str) -> None:
        """Remove it, if it is there."""
        ...


class ClusterBehaviour:
    """Inherit, and give the fixture `cluster`. Names and labels are fresh, so it may hold other objects.

    Deployments here want no replicas: what pods do is seen through the service (`suites.model_servers`).
    """

    async def test_what_is_not_there_is_nothing_and_may_be_deleted(self, cluster: Cluster) -> None:
        kinds: tuple[Kind, ...] = ("Deployment", "Service")
        for kind in kinds:
            assert await cluster.get(kind, _name()) is None
            await cluster.delete(kind, _name())
            assert await cluster.find(kind, {"capstan.dev/suite": _name()}) == []

    async def test_an_object_is_as_it_was_given_until_it_is_deleted(self, cluster: Cluster) -> None:
        given: tuple[tuple[Kind, Manifest], ...] = (("Deployment", deployment(_name())), ("Service", service(_name())))
        for kind, manifest in given:
            name = manifest["metadata"]["name"]
            made = await cluster.apply(kind, copy.deepcopy(manifest))
            fetched = await cluster.get(kind, name)
            assert fetched is not None
            for shown in (made, fetched):
                assert shown["metadata"]["labels"] == manifest["metadata"]["labels"]
                assert _within(manifest["spec"], shown["spec"])
            await cluster.delete(kind, name)
            assert await cluster.find(kind, manifest["metadata"]["labels"]) == []

    async def test_only_a_change_is_another_generation(self, cluster: Cluster) -> None:
        """By which a rollout is told from one that is over: `status.observedGeneration` is compared with it."""
        manifest = deployment(_name())
        name = manifest["metadata"]["name"]
        first = (await cluster.apply("Deployment", copy.deepcopy(manifest)))["metadata"]["generation"]
        again = (await cluster.apply("Deployment", copy.deepcopy(manifest)))["metadata"]["generation"]
        manifest["spec"]["template"]["metadata"]["annotations"] = {"capstan.dev/placement": "another"}
        changed = await cluster.apply("Deployment", copy.deepcopy(manifest))
        await cluster.delete("Deployment", name)
        assert (first, again, changed["metadata"]["generation"]) == (1, 1, 2)
        assert changed["spec"]["template"]["metadata"]["annotations"] == {"capstan.dev/placement": "another"}

    async def test_what_it_hands_out_is_nobody_elses(self, cluster: Cluster) -> None:
        manifest = deployment(_name())
        name = manifest["metadata"]["name"]
        made = await cluster.apply("Deployment", manifest)
        made["spec"]["replicas"] = 5
        manifest["spec"]["paused"] = True
        fetched = await cluster.get("Deployment", name)
        await cluster.delete("Deployment", name)
        assert fetched is not None and fetched["spec"]["replicas"] == 0 and "paused" not in fetched["spec"]

    async def test_objects_are_found_by_all_of_their_labels(self, cluster: Cluster) -> None:
        mark = _name()
        for name, colour in ((f"{mark}-a", "red"), (f"{mark}-b", "green")):
            await cluster.apply("Deployment", deployment(name, suite=mark, colour=colour))
        all_of_it = await cluster.find("Deployment", {"capstan.dev/suite": mark})
        red = await cluster.find("Deployment", {"capstan.dev/suite": mark, "capstan.dev/colour": "red"})
        none = await cluster.find("Deployment", {"capstan.dev/suite": _name(), "capstan.dev/colour": "red"})
        services = await cluster.find("Service", {"capstan.dev/suite": mark})
        for item in all_of_it:
            await cluster.delete("Deployment", item["metadata"]["name"])
        assert sorted(item["metadata"]["name"] for item in all_of_it) == [f"{mark}-a", f"{mark}-b"]
        assert [item["metadata"]["name"] for item in red] == [f"{mark}-a"]
        assert none == services == []

    async def test_a_manifest_that_contradicts_itself_is_invalid_data(self, cluster: Cluster) -> None:
        manifest = deployment(_name())
        manifest["spec"]["selector"]["matchLabels"] = {"capstan.dev/suite": "somebody-else"}
        with pytest.raises(InvalidData, match="selector"):
            await cluster.apply("Deployment", manifest)
        assert await cluster.get("Deployment", manifest["metadata"]["name"]) is None


def _name() -> str:
    return f"suite-{uuid7()[-12:]}"


def _labels(name: str, **more: str) -> dict[str, str]:
    return {f"capstan.dev/{key}": value for key, value in {"suite": name, **more}.items()}


def deployment(name: str, **labels: str) -> Manifest:
    """One that wants no pods, and that a namespace for restricted pods takes."""
    secured = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    pod = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {"name": "model-server", "image": "capstan.invalid/none:0", "securityContext": secured}
    given = _labels(name, **labels)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": given},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": given},
            "template": {"metadata": {"labels": given}, "spec": {"securityContext": pod, "containers": [container]}},
        },
    }


def service(name: str) -> Manifest:
    """The address of nothing."""
    ports = [{"name": "http", "port": 7110, "targetPort": "http", "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": _labels(name)},
        "spec": {"type": "ClusterIP", "selector": _labels(name), "ports": ports},
    }


def _within(given: Any, shown: Any) -> bool:
    """Whether everything given is shown: the API server adds defaults."""
    if isinstance(given, dict):
        return isinstance(shown, dict) and all(
            key in shown and _within(value, shown[key]) for key, value in given.items()
        )
    if isinstance(given, list):
        return isinstance(shown, list) and len(given) == len(shown) and all(map(_within, given, shown))
    return bool(given == shown)
