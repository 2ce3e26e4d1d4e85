"""How one kind of work is done: what every service declares of its leased work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from capstan_contracts.errors import Problem
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.work.lease import Lease, WorkItem


@dataclass(frozen=True)
class WorkKind:
    """How one kind of work is done.

    `run` loads, processes and calls `lease.finish()`. `failed` writes the failure into the service's own rows, in the
    transaction that ends the item. A `CapstanError` under 500 is final at once; anything else is tried again.
    """

    run: Callable[[WorkItem, Lease], Coroutine[Any, Any, None]]
    failed: Callable[[WriteSession, WorkItem, Problem], Awaitable[None]]
    max_attempts: int = 5
    concurrency: int = 1
    backoff_s: float = 1.0
