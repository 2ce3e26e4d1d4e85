"""Run logs as files, one per run: `home/logs/runs/<run>.log`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from capstan_servicekit.paths import under
from capstan_servicekit.redact import redact_text

_PIECE = 64 * 1024


class RunLogFiles:
    """Appends whole, redacted lines and flushes each; the file is capped."""

    def __init__(self, folder: Path, *, cap: int) -> None:
        self._folder, self._cap = folder, cap
        self._full: set[str] = set()

    def append(self, run: str, line: str) -> None:
        """Add a line."""
        path = under(self._folder, f"{run}.log")
        self._folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            if file.tell() < self._cap and run not in self._full:
                file.write(redact_text(line).encode("utf-8", "replace") + b"\n")
            elif run not in self._full:
                self._full.add(run)
                file.write(f"[capstan] the log ends here: it has reached {self._cap} bytes\n".encode())

    async def read(self, run: str, offset: int) -> tuple[str, int]:
        """Text from `offset` on, whole lines only, and the next offset."""
        data = await asyncio.to_thread(self._read, run, offset)
        whole = data[: data.rfind(b"\n") + 1]
        return whole.decode("utf-8", "replace"), offset + len(whole)

    async def stream(self, run: str) -> AsyncIterator[str]:
        """All that is there now."""
        offset = 0
        while True:
            text, offset = await self.read(run, offset)
            if not text:
                return
            yield text

    def _read(self, run: str, offset: int) -> bytes:
        try:
            with under(self._folder, f"{run}.log").open("rb") as file:
                file.seek(offset)
                return file.read(_PIECE)
        except FileNotFoundError:
            return b""
