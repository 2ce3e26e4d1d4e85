"""Remove what uploads of a killed process left behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

from capstan_servicekit.clock import Clock
from capstan_ingestion.actions.receive_batch import stale_incoming

_EVERY_S = 600.0
_SILENT_S = 900.0
"""An upload that writes nothing for so long has no process any more."""


class ClearIncoming:
    """A background task: at start and every ten minutes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._folder = kit.settings.home / "incoming" / kit.service

    async def __call__(self) -> None:
        """Clear until cancelled."""
        while True:
            await asyncio.to_thread(self.once)
            await asyncio.sleep(_EVERY_S)

    def once(self) -> list[Path]:
        """Clear now; what was removed."""
        found = stale_incoming(self._folder, self._clock.now().timestamp() - _SILENT_S)
        for path in found:
            path.unlink(missing_ok=True)
        return found
