"""The family of executors: ours, what the setting refuses, and one that a stranger installs."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from capstan_servicekit.settings import wrong_settings
from capstan_testkit.distributions import install_distribution
from capstan_testkit.harness import running
from capstan_training.adapters.executors.port import EXECUTORS
from capstan_training.app import build
from capstan_training.settings import EXECUTORS_GROUP, Settings

FOREIGN = """
MADE = []

class Slurm:
    closed = False

    async def run(self, order, output):
        raise RuntimeError("the queue is closed")

    async def end(self, run):
        pass

    async def close(self):
        self.closed = True

def make(settings, objects, handover):
    MADE.append((Slurm(), settings, objects))
    return MADE[-1][0]
"""


def test_ours_are_installed_and_can_be_used() -> None:
    assert EXECUTORS.names == ("kubernetes", "local")
    assert EXECUTORS.broken() == []


def test_an_executor_that_there_is_not_is_refused_with_the_nearest_word(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(home=tmp_path, executor="kubernets")
    sentence = wrong_settings(refused.value, "training")
    assert "CAPSTAN_EXECUTOR" in sentence and "no kind 'kubernets'; did you mean 'kubernetes'?" in sentence


def test_the_image_and_the_way_back_must_be_named(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).executor == "local"
    with pytest.raises(ValidationError, match="needs CAPSTAN_TRAINING_RUN_IMAGE, CAPSTAN_TRAINING_RUN_CALLBACK_URL"):
        Settings(home=tmp_path, executor="kubernetes")
    complete = Settings(home=tmp_path, executor="kubernetes", run_image="i", run_callback_url="http://training:7103")
    assert complete.run_image_pull_policy == "IfNotPresent"


async def test_an_executor_from_outside_is_picked_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_distribution(
        tmp_path, monkeypatch, name="slurm", modules={"slurm_executor": FOREIGN},
        entry_points={EXECUTORS_GROUP: {"slurm": "slurm_executor:make"}}, families=(EXECUTORS,),
    )  # fmt: skip
    async with running(Settings, build, tmp_path / "home", executor="slurm") as h:
        ((executor, settings, objects),) = importlib.import_module("slurm_executor").MADE
        assert objects is h.kit.objects and settings.executor == "slurm"
        assert executor.close in h.service_.closers
    assert executor.closed


def test_an_executor_that_fails_on_import_is_named_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_distribution(
        tmp_path, monkeypatch, name="broken", modules={"broken_executor": "raise OSError('no licence file')"},
        entry_points={EXECUTORS_GROUP: {"broken": "broken_executor:make"}}, families=(EXECUTORS,),
    )  # fmt: skip
    with pytest.raises(ValidationError, match="'broken' cannot be used: .*no licence file"):
        Settings(home=tmp_path, executor="broken")
