"""The port of the family `capstan.executors`: where pipelines run, by the name in the setting `executor`."""

from __future__ import annotations

from typing import Final, Protocol

from capstan_contracts.kinds.family import Family
from capstan_servicekit.objects.port import ObjectStore
from capstan_training.actions.ports import Executor, Handover
from capstan_training.settings import EXECUTORS_GROUP, Settings


class ExecutorFactory(Protocol):
    """What an entry point gives. It is called once, when the service is composed, and starts nothing."""

    def __call__(self, settings: Settings, objects: ObjectStore, handover: Handover) -> Executor:
        """The executor on the service's parts. `handover` is for one whose runs go on outside of this process."""
        ...


EXECUTORS: Final[Family[ExecutorFactory]] = Family(EXECUTORS_GROUP)
