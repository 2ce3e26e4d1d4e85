"""Lines out of a pipe that is read in pieces."""

from __future__ import annotations

import os

_CHUNK = 1 << 20
LONGEST_LINE = 64 << 20


class Lines:
    """`lines` are those that are whole and were not taken yet. The handle should not block."""

    def __init__(self, handle: int) -> None:
        self.handle, self._rest = handle, bytearray()
        self.lines: list[bytes] = []

    def read(self) -> int | None:
        """Take what is there; how many bytes, 0 at the end, None when nothing is there yet. ValueError: a long line."""
        try:
            data = os.read(self.handle, _CHUNK)
        except BlockingIOError:
            return None
        *whole, rest = data.split(b"\n")
        if whole:
            whole[0] = bytes(self._rest) + whole[0]
            self._rest.clear()
            self.lines += whole
        self._rest += rest
        if len(self._rest) > LONGEST_LINE:
            raise ValueError(f"a line of more than {LONGEST_LINE} bytes")
        return len(data)

    def take(self) -> list[bytes]:
        """The whole lines, each once."""
        taken, self.lines = self.lines, []
        return taken
