"""The states of a deployment: the table is whole, and the wire has the same words."""

from __future__ import annotations

from typing import get_args

from capstan_contracts.rest.inference import Deployment
from capstan_inference.domain.deployment import DEGRADED, DEPLOYMENT, DeploymentState
from capstan_testkit.machines import assert_whole


def test_a_deployment_can_always_come_to_serve() -> None:
    assert_whole(DEPLOYMENT, finals=set(), package="capstan_inference")
    assert set(DEPLOYMENT.into(DeploymentState.SERVING)) == set(DeploymentState) - {DeploymentState.WAITING}


def test_the_wire_has_the_words_of_the_table_and_the_one_that_is_only_shown() -> None:
    words = {state.value for state in DeploymentState} | {DEGRADED}
    assert set(get_args(Deployment.model_fields["state"].annotation)) == words
