"""The one place that cancels tasks and sees them end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

AGAIN_S = 15.0


async def stop(tasks: Iterable[asyncio.Task[object]]) -> None:
    """Cancel tasks and return when each has ended; what they raised stays with them. Ended ones are left alone."""
    asked = {task for task in tasks if not task.done()}
    pending = asked
    while pending:
        for task in pending:
            task.cancel()
        # Again if need be: Python 3.11's wait_for, which the broker's client uses, can lose a cancellation.
        # Not sooner: a second cancellation would break into the clean-up of the first.
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
    for task in asked:
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain of an error that nobody waits for
