"""The family `capstan.executors`: where pipelines run, by the name in the setting `executor`."""

from __future__ import annotations

from typing import Final, Protocol

from capstan_contracts.kinds.family import Family
from capstan_servicekit.runtime import Kit
from capstan_training.actions.ports import Executor, Handover
from capstan_training.settings import EXECUTORS_GROUP, Settings


class ExecutorFactory(Protocol):
    """What an entry point gives. It is called once, when the service is composed, and starts nothing."""

    def __call__(self, kit: Kit, settings: Settings, handover: Handover) -> Executor:
        """The executor on the service's parts. `handover` is for one whose runs go on outside of this process."""
        ...


EXECUTORS: Final[Family[ExecutorFactory]] = Family(EXECUTORS_GROUP)
