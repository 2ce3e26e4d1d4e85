"""The states of a deployment: what may become of it, and by whom."""

from __future__ import annotations

from enum import StrEnum

from capstan_contracts.states import Machine


class DeploymentState(StrEnum):
    """As it is stored. `waiting`: its model has no champion yet; the sentence for that is `first_champion.WAITS`."""

    WAITING = "waiting"
    LOADING = "loading"
    SERVING = "serving"
    FAILED = "failed"


DEGRADED = "degraded"
"""How a deployment is shown that serves from fewer model servers than it should: never stored, for it passes."""

_LOADING, _LOADED = ("actions.roll_out",), ("actions.roll_out", "actions.converge")

DEPLOYMENT = Machine(
    "deployment",
    DeploymentState.WAITING,
    {
        (DeploymentState.WAITING, DeploymentState.LOADING): _LOADING,
        # The first champion could not be loaded, or its loading was interrupted.
        (DeploymentState.FAILED, DeploymentState.LOADING): _LOADING,
        (DeploymentState.LOADING, DeploymentState.LOADING): _LOADING,
        (DeploymentState.LOADING, DeploymentState.SERVING): ("actions.roll_out",),
        # A champion after the first is loaded beside the one that serves.
        (DeploymentState.SERVING, DeploymentState.SERVING): ("actions.roll_out",),
        (DeploymentState.FAILED, DeploymentState.SERVING): _LOADED,
        (DeploymentState.WAITING, DeploymentState.FAILED): ("actions.roll_out",),
        (DeploymentState.LOADING, DeploymentState.FAILED): ("actions.roll_out",),
        (DeploymentState.SERVING, DeploymentState.FAILED): ("actions.converge",),
        # For another reason than before.
        (DeploymentState.FAILED, DeploymentState.FAILED): _LOADED,
    },
)
