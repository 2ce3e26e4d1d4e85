"""Events that the registry takes: each only enqueues work."""

from __future__ import annotations

from capstan_contracts.events import Envelope, RunFinished, RunStarted
from capstan_contracts.work import State
from capstan_registry.domain.work import RunToRegister, RunToWarmFor
from capstan_servicekit.bus.inbox import Subscriptions
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.queue import WorkQueue


def subscriptions(work: WorkQueue) -> Subscriptions:
    """Event class -> what to do."""

    async def started(session: WriteSession, envelope: Envelope, event: RunStarted) -> None:
        await work.add(session, RunToWarmFor(event.run), project=envelope.project)

    async def finished(session: WriteSession, envelope: Envelope, event: RunFinished) -> None:
        if event.state is not State.SUCCEEDED or event.package is None:
            return
        made = RunToRegister(
            run=event.run,
            loop=event.loop,
            package=event.package,
            holdout=event.holdout,
            training_set=event.training_set,
            dataset=event.dataset,
            dataset_version=event.dataset_version,
            code=event.code,
            metrics=event.metrics,
            promote=event.promote,
        )
        await work.add(session, made, project=envelope.project)

    return Subscriptions({RunStarted: started, RunFinished: finished})
