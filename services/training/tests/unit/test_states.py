"""The states and stages of a run: the tables are whole, and the wire has the same words."""

from __future__ import annotations

from typing import get_args

from capstan_contracts.rest.training import Run
from capstan_contracts.work import State
from capstan_testkit.machines import assert_whole
from capstan_training.domain.run import RUN, STAGE, Stage


def test_a_run_ends_once() -> None:
    assert_whole(RUN, finals={State.SUCCEEDED, State.FAILED, State.CANCELLED}, package="capstan_training")


def test_stages_lead_to_the_last_one() -> None:
    assert_whole(STAGE, finals={Stage.DONE}, package="capstan_training")


def test_the_wire_has_the_words_of_the_stages() -> None:
    assert set(get_args(Run.model_fields["stage"].annotation)) == {stage.value for stage in Stage}
