"""Run logs as files, one per run: `home/logs/runs/<run>.log`, and beside it how far a followed source was read."""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from capstan_servicekit.security.paths import under
from capstan_servicekit.security.redact import redact_text
from capstan_training.domain.transcript import OWN

_PIECE = 64 * 1024


class RunLogFiles:
    """Appends whole, redacted lines and flushes each; the file is capped. What came after a mark is counted in it."""

    def __init__(self, folder: Path, *, cap: int) -> None:
        self._folder, self._cap = folder, cap
        self._full: set[str] = set()

    def append(self, run: str, line: str) -> None:
        """Add a line."""
        path = self._path(run)
        self._folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            if file.tell() < self._cap and run not in self._full:
                file.write(redact_text(line.replace("\n", " ")).encode("utf-8", "replace") + b"\n")
            elif run not in self._full:
                self._full.add(run)
                file.write(f"{OWN} the log ends here: it has reached {self._cap} bytes\n".encode())

    def mark(self, run: str, at: str) -> None:
        """Remember a position."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path, mark = self._path(run), under(self._folder, f"{run}.mark")
        draft = mark.with_suffix(".draft")
        draft.write_text(json.dumps({"at": at, "size": path.stat().st_size if path.exists() else 0}))
        draft.rename(mark)

    async def resume(self, run: str) -> tuple[str, int]:
        """The position of the last mark, and the lines of the run itself that came after it."""
        return await asyncio.to_thread(self._resume, run)

    async def file(self, run: str) -> Path | None:
        """The file, if it is there."""
        path = self._path(run)
        return path if await asyncio.to_thread(path.exists) else None

    async def restore(self, run: str, source: Path) -> None:
        """Copy a whole log here; the file appears at once or not at all."""
        await asyncio.to_thread(self._restore, self._path(run), source)

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

    def _path(self, run: str) -> Path:
        return under(self._folder, f"{run}.log")

    def _read(self, run: str, offset: int) -> bytes:
        try:
            with self._path(run).open("rb") as file:
                file.seek(offset)
                return file.read(_PIECE)
        except FileNotFoundError:
            return b""

    def _resume(self, run: str) -> tuple[str, int]:
        try:
            mark = json.loads(under(self._folder, f"{run}.mark").read_text())
            with self._path(run).open("rb") as file:
                file.seek(mark["size"])
                after = sum(not line.startswith(OWN.encode()) for line in file)
        except FileNotFoundError:
            return "", 0
        return str(mark["at"]), after

    def _restore(self, path: Path, source: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        shutil.copyfile(source, draft)
        draft.rename(path)
