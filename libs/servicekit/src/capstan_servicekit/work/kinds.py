"""The one shape of leased work: a payload that is written where work is added and read where it is done, and its work.

Where to put which half, by the example of ingestion:

    @dataclass(frozen=True)
    class BatchToCheck:                      # domain/work.py
        KIND: ClassVar[str] = "check-batch"
        batch: str

        @property
        def key(self) -> str:                # the same key again adds nothing
            return self.batch

    class CheckBatch(Work[BatchToCheck]):    # actions/check_batch.py
        Payload = BatchToCheck
        max_attempts = 3
        async def run(...): ...
        async def failed(...): ...

    await work.add(session, BatchToCheck(row.id), project=row.project)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from capstan_contracts.errors import Problem
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.lease import Lease


class Payload(Protocol):
    """What an item of work is given: a frozen dataclass of plain values (`work.payloads` says which)."""

    KIND: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def key(self) -> str:
        """What the item is called among those of its kind and project: an item of the same key is the same item."""
        ...


P = TypeVar("P", bound=Payload)


@dataclass(frozen=True)
class WorkItem(Generic[P]):
    """A claimed item. `key` names it among those of its kind and project; `attempt` counts from 1."""

    id: str
    key: str
    project: str
    attempt: int
    payload: P = field(repr=False)


class Work(ABC, Generic[P]):
    """How one kind of work is done. Its dependencies come by `__init__`; how often and how patiently stands here.

    A `CapstanError` under 500 is final at once; anything else is tried again until `max_attempts`, with a pause of
    `backoff_s` that doubles. `concurrency`: how many items of the kind one process does side by side for one project.
    """

    Payload: ClassVar[type[Payload]]
    max_attempts: ClassVar[int] = 5
    concurrency: ClassVar[int] = 1
    backoff_s: ClassVar[float] = 1.0

    @abstractmethod
    async def run(self, item: WorkItem[P], lease: Lease) -> None:
        """Load, process outside of any transaction, and apply within `lease.finish()`.

        Cancelled when somebody asked the item to stop, when the lease was lost, and when the process ends.
        """

    @abstractmethod
    async def failed(self, session: WriteSession, item: WorkItem[P], problem: Problem) -> None:
        """Write into the service's own rows that the item failed or was cancelled, in the transaction that ends it."""


AnyWork = Work[Any]
"""A work of whatever payload: what the loop and the composition root hold."""


def kinds_of(works: tuple[AnyWork, ...]) -> dict[str, AnyWork]:
    """The works by their kind. TypeError when two declare the same."""
    kinds: dict[str, AnyWork] = {}
    for work in works:
        kind = work.Payload.KIND
        if kind in kinds:
            raise TypeError(f"{type(work).__name__} and {type(kinds[kind]).__name__} both do the work {kind!r}")
        kinds[kind] = work
    return kinds
