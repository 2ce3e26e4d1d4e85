"""The family of model servers: ours, what the setting refuses, and one that a stranger installs."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from capstan_inference.adapters.model_servers.port import MODEL_SERVERS
from capstan_inference.app import build
from capstan_inference.settings import MODEL_SERVERS_GROUP, Settings
from capstan_servicekit.settings import wrong_settings
from capstan_testkit.distributions import install_distribution
from capstan_testkit.harness import running

FOREIGN = """
import asyncio

from capstan_inference.actions.ports import Address

MADE = []

class Remote:
    serving = {}
    replica_status = {}
    servers = frozenset()
    closed = False

    def address(self, project, deployment):
        return Address("https://models.example")

    async def load(self, placement):
        return 0.0

    async def flush(self, project, deployment):
        return []

    async def run(self):
        await asyncio.Event().wait()

    async def missing(self):
        return "the remote servers are asleep"

    async def close(self):
        self.closed = True

def make(settings, objects, wanted, flush):
    MADE.append(Remote())
    return MADE[-1]
"""


def test_ours_are_installed_and_can_be_used() -> None:
    assert MODEL_SERVERS.names == ("child", "kubernetes")
    assert MODEL_SERVERS.broken() == []


def test_a_model_server_that_there_is_not_is_refused_with_the_nearest_word(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(home=tmp_path, model_servers="childs")
    sentence = wrong_settings(refused.value, "inference")
    assert "CAPSTAN_MODEL_SERVERS" in sentence and "no kind 'childs'; did you mean 'child'?" in sentence


async def test_a_model_server_from_outside_is_picked_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_distribution(
        tmp_path, monkeypatch, name="remote", modules={"remote_servers": FOREIGN},
        entry_points={MODEL_SERVERS_GROUP: {"remote": "remote_servers:make"}}, families=(MODEL_SERVERS,),
    )  # fmt: skip
    async with running(Settings, build, tmp_path / "home", model_servers="remote") as h:
        assert any("the remote servers are asleep" in sentence for sentence in await h.service_.missing())
        (server,) = importlib.import_module("remote_servers").MADE
    assert server.closed
