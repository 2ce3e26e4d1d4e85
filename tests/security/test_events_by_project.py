"""Publishing again concerns the events of the project that the path names, at every service."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from capstan_contracts.events import LabelsReceived
from capstan_contracts.ids import SERVICES, Urn
from capstan_testkit.harness import Harness, running


@pytest.fixture(params=SERVICES)
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    """Each service in turn, with one published event of `default` and two of `elsewhere`."""
    package = f"capstan_{request.param.replace('-', '_')}"
    settings = importlib.import_module(f"{package}.settings").Settings
    build = importlib.import_module(f"{package}.app").build
    fields: dict[str, Any] = {"model_server_port": 0} if request.param == "inference" else {}
    async with running(settings, build, tmp_path, pythons={}, **fields) as found:
        for project in ("default", "elsewhere", "elsewhere"):
            async with found.kit.database.write() as session:
                event = LabelsReceived(loop="m", source="s", labels=1, joined=0, unlabelled=0)
                found.kit.outbox.add(session, event, project=project, subject=Urn(project, "loop", "m"))
        await found.service_.relay.relay_once()
        yield found


async def test_events_of_other_projects_are_not_published_again(harness: Harness) -> None:
    for client, own, foreign, count in (
        (harness.admin, "default", "elsewhere", 1),
        (harness.foreign, "elsewhere", "default", 2),
    ):
        answer = await client.post(f"/v1/projects/{own}/events/reconcile")
        assert answer.status_code == 200 and answer.json() == {"events": count}, answer.text
        assert (await client.post(f"/v1/projects/{foreign}/events/reconcile")).status_code == 403
    for client in (harness.viewer, harness.operator):
        assert (await client.post("/v1/projects/default/events/reconcile")).status_code == 403
