"""The same fault in a loop gives the same status, code and place at all six services."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capstan_client.sdk.recipe import resolve
from capstan_contracts.ids import SERVICES
from capstan_contracts.loop import LoopPart
from capstan_testkit.harness import Harness, repository_root, running

RECIPE = repository_root() / "pipelines" / "flight-delay"
Body = dict[str, Any]
Fault = Callable[[Body], None]


def another_name(body: Body) -> None:
    body["resolved"]["loop"]["metadata"]["name"] = "another"


def another_project(body: Body) -> None:
    body["resolved"]["loop"]["metadata"]["project"] = "another"


def another_feature_service(body: Body) -> None:
    body["resolved"]["loop"]["spec"]["features"]["service"] = "another_v1"


def no_label(body: Body) -> None:
    del body["resolved"]["loop"]["spec"]["training"]["label"]


def no_integer(body: Body) -> None:
    body["resolved"]["loop"]["spec"]["training"]["holdout"] = {"days": "many"}


FAULTS: dict[str, tuple[Fault, int, str, str]] = {
    "another name than the path's": (another_name, 400, "invalid-spec", "metadata.name"),
    "another project than the path's": (another_project, 400, "invalid-spec", "metadata.project"),
    "another feature service": (another_feature_service, 400, "invalid-spec", "spec.features.service"),
    "a field that is missing": (no_label, 422, "invalid-body", "loop.spec.training.label"),
    "a value of the wrong type": (no_integer, 422, "invalid-body", "loop.spec.training.holdout.days"),
}


@pytest.fixture(scope="module")
def body() -> Body:
    resolved, _ = resolve(RECIPE / "loop.yaml")
    return LoopPart(generation=1, resolved=resolved).model_dump(mode="json", by_alias=True)


def app_of(service: str) -> tuple[Any, Any]:
    package = f"capstan_{service.replace('-', '_')}"
    settings = importlib.import_module(f"{package}.settings").Settings
    return settings, importlib.import_module(f"{package}.app").build


async def answers(harness: Harness, service: str, body: Body) -> list[tuple[str, int, str, str]]:
    seen = []
    for title, (fault, *_) in FAULTS.items():
        broken = copy.deepcopy(body)
        fault(broken)
        # The registry is asked by people, with the loop itself; the others by the registry, with a numbered part.
        sent = broken["resolved"] if service == "registry" else broken
        caller = harness.admin if service == "registry" else harness.service
        answer = await caller.put("/v1/projects/default/loops/flight-delay?dry_run=true", json=sent)
        problem = answer.json()
        place = problem["errors"][0]["place"].removeprefix("body.").removeprefix("resolved.")
        seen.append((title, answer.status_code, problem["code"], place))
    return seen


@pytest.mark.parametrize("service", SERVICES)
async def test_a_fault_has_one_answer(service: str, body: Body, tmp_path: Path) -> None:
    settings, build = app_of(service)
    async with running(settings, build, tmp_path, pythons={}) as harness:
        assert await answers(harness, service, body) == [
            (title, status, code, place) for title, (_, status, code, place) in FAULTS.items()
        ]


STATIONS = {
    "training": ("training", "schedule", "0 3 * * *", "spec.training.schedule"),
    "inference": ("serving", "shadow", True, "spec.serving.shadow"),
    "monitoring": ("monitoring", "schedule", "0 3 * * *", "spec.monitoring.schedule"),
    "ingestion": ("dataset", "schedule", "0 3 * * *", "spec.dataset.schedule"),
}


@pytest.mark.parametrize("service", STATIONS)
async def test_what_is_not_built_yet_is_said_by_the_service_and_by_the_registry(
    service: str, body: Body, tmp_path: Path
) -> None:
    station, field, value, place = STATIONS[service]
    asked = copy.deepcopy(body)
    asked["resolved"]["loop"]["spec"].setdefault(station, {})[field] = value
    path = "/v1/projects/default/loops/flight-delay?dry_run=true"
    problems = []
    for name in (service, "registry"):
        settings, build = app_of(name)
        async with running(settings, build, tmp_path / name, pythons={}) as harness:
            sent, caller = (asked["resolved"], harness.admin) if name == "registry" else (asked, harness.service)
            answer = await caller.put(path, json=sent)
            problems.append((answer.status_code, answer.json()["code"], answer.json()["errors"], answer.json()["hint"]))
    assert problems[0] == problems[1]
    assert problems[0][:2] == (400, "not-built-yet") and problems[0][2][0]["place"] == place


@pytest.mark.parametrize("service", ["ingestion", "inference", "monitoring"])
async def test_generations_are_in_order_at_each(service: str, body: Body, tmp_path: Path) -> None:
    settings, build = app_of(service)
    path = "/v1/projects/default/loops/flight-delay"

    def numbered(generation: int, **changes: Any) -> Body:
        part = copy.deepcopy(body) | {"generation": generation}
        spec = part["resolved"]["loop"]["spec"]
        spec["serving"]["logFeatures"] = spec["monitoring"]["drift"]["minRows"] % 2 == changes.get("other", 0)
        spec["monitoring"]["drift"]["alpha"] = 0.02 + changes.get("other", 0) / 100
        spec["dataset"]["knownAt"] = f"known_{changes.get('other', 0)}"
        return part

    async with running(settings, build, tmp_path, pythons={}) as harness:
        first = await harness.service.put(path, json=numbered(3))
        assert first.status_code == 200 and first.json()["changes"] and first.json()["generation"] == 3
        again = await harness.service.put(path, json=numbered(3))
        assert again.status_code == 200 and again.json()["changes"] == []
        late = await harness.service.put(path, json=numbered(2))
        assert late.status_code == 200 and late.json()["changes"] == []
        for generation in (2, 3):
            refused = await harness.service.put(path, json=numbered(generation, other=1))
            assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
            assert refused.json()["errors"][0]["place"] == "generation"
        newer = await harness.service.put(path, json=numbered(4, other=1))
        assert newer.status_code == 200 and newer.json()["changes"]
