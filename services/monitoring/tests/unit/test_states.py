"""The states of windows and retrains: the tables are whole, and the wire has the same words."""

from __future__ import annotations

from typing import get_args

from capstan_contracts.rest.monitoring import Retrain, Window
from capstan_monitoring.domain.retrain import RETRAIN, RetrainState
from capstan_monitoring.domain.window import WINDOW, WindowState
from capstan_testkit.machines import assert_whole


def test_a_window_is_judged_once_and_its_verdict_is_final() -> None:
    finals = set(WindowState) - {WindowState.OPEN, WindowState.EVALUATING}
    assert_whole(WINDOW, finals=finals, package="capstan_monitoring")


def test_a_retrain_ends_once() -> None:
    ends = {RetrainState.WITHHELD, RetrainState.PROMOTED, RetrainState.REFUSED, RetrainState.FAILED}
    assert_whole(RETRAIN, finals=ends, package="capstan_monitoring")


def test_the_wire_has_the_words_of_the_tables() -> None:
    assert set(get_args(Retrain.model_fields["state"].annotation)) == {state.value for state in RetrainState}
    assert set(get_args(Window.model_fields["state"].annotation)) == {state.value for state in WindowState}
