"""Remove what uploads of a killed process left behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

from capstan_servicekit.clock import Clock

_EVERY_S = 600.0
_SILENT_S = 900.0
"""An upload that writes nothing for so long has no process any more."""


class ClearIncoming:
    """A background task: at start and every ten minutes."""

    def __init__(self, clock: Clock, incoming: Path) -> None:
        self._clock, self._incoming = clock, incoming

    async def __call__(self) -> None:
        """Clear until cancelled."""
        while True:
            await asyncio.to_thread(self.once)
            await asyncio.sleep(_EVERY_S)

    def once(self) -> list[Path]:
        """Clear now; what was removed."""
        stale = _stale(self._incoming, self._clock.now().timestamp() - _SILENT_S)
        for path in stale:
            path.unlink(missing_ok=True)
        return stale


def _stale(folder: Path, before: float) -> list[Path]:
    """Files of uploads that a killed process left behind: untouched since `before` (seconds since the epoch)."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.stat().st_mtime < before]
