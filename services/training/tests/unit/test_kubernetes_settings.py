"""The executor `kubernetes` says what it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from capstan_training.settings import Settings


def test_the_image_and_the_way_back_must_be_named(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).executor == "local"
    with pytest.raises(ValidationError, match="needs CAPSTAN_TRAINING_RUN_IMAGE, CAPSTAN_TRAINING_RUN_CALLBACK_URL"):
        Settings(home=tmp_path, executor="kubernetes")
    complete = Settings(home=tmp_path, executor="kubernetes", run_image="i", run_callback_url="http://training:7103")
    assert complete.run_image_pull_policy == "IfNotPresent"
