"""Ask a part for work, over and over, without a thread: the supervisor forks, so it has one thread only.

That a connection is taken says nothing: the kernel takes it for a stopped process, too. What counts is the answer.
"""

from __future__ import annotations

import re
import socket
import time

from capstan_client.settings import Patience
from capstan_servicekit.busy import Activity
from capstan_servicekit.http.sockets import begin_connection


class Probe:
    """One part at one address. `request` is sent after connecting; an answer has to begin as `expects`."""

    def __init__(
        self, address: tuple[str, int], patience: Patience, *, request: bytes, expects: re.Pattern[bytes]
    ) -> None:
        self._address, self._patience, self._request, self._expects = address, patience, request, expects
        self._pid = 0
        self._socket: socket.socket | None = None
        self._asked = self._answered = 0.0
        self._sent = False
        self._activity: Activity | None = None

    def look(self, pid: int) -> str | None:
        """Take one step; why the process `pid` has to be replaced, if it has to. It never waits."""
        now = time.monotonic()
        if pid != self._pid:
            self._begin(pid, now)
        if self._socket is None:
            if now - self._asked >= self._patience.every_s:
                self._ask(now)
        elif self._heard():
            self._answered, self._activity = now, None
        elif now - self._asked >= self._patience.silent_s:
            self._close()
        return self._verdict(pid, now)

    def _begin(self, pid: int, now: float) -> None:
        self._close()
        self._pid, self._asked, self._answered, self._activity = pid, now, now, None

    def _ask(self, now: float) -> None:
        self._asked, self._sent = now, not self._request
        self._socket = begin_connection(*self._address)

    def _heard(self) -> bool:
        """Whether an answer as it should be has come; any other ends this question."""
        assert self._socket is not None
        try:
            if not self._sent:
                self._socket.send(self._request)
                self._sent = True
            answer = self._socket.recv(64)
        except BlockingIOError:
            return False
        except OSError:
            answer = b""
        self._close()
        return self._expects.match(answer) is not None

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _verdict(self, pid: int, now: float) -> str | None:
        silent = now - self._answered
        if silent < self._patience.every_s + 1:
            return None
        if self._activity is None:
            self._activity = Activity(pid)
        if silent >= self._patience.busy_s:
            return f"has not answered for {silent:.0f} s"
        if silent >= self._patience.silent_s and self._activity.waits():
            return f"has not answered for {silent:.0f} s and does nothing"
        return None
