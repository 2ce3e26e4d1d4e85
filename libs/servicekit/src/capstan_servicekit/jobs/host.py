"""The worker's main program: `python -P -m capstan_servicekit.jobs.host`. Standard library only.

Requests come as JSON lines on stdin, answers leave as JSON lines on the original stdout; whatever a job prints goes to
stderr. The worker imports what jobs need, and keeps it; each job runs in a process that is forked for it, in a box, and
is answered for when nothing of it is left. When stdin ends the service is gone, and everything here ends at once.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any, NoReturn

from capstan_servicekit.jobs import forks, inline, messages, task
from capstan_servicekit.jobs.box import places
from capstan_servicekit.jobs.box.abilities import Abilities, abilities
from capstan_servicekit.jobs.box.enter import prepare
from capstan_servicekit.jobs.box.kernel import LINUX, PR_SET_PDEATHSIG, adopts_orphans, prctl
from capstan_servicekit.jobs.box.tree import end_below
from capstan_servicekit.jobs.lines import Lines


class Host:
    """One worker. `channel` is where answers go."""

    def __init__(self, channel: int) -> None:
        self._answer = task.answers_to(channel)
        self._channel = channel
        self._requests = Lines(0)
        self._wake, self._waker = os.pipe()
        for handle in (self._wake, self._waker):
            os.set_blocking(handle, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.gone())
        self._abilities: Abilities | None = None
        self._imported = 0

    def serve(self) -> NoReturn:
        """Answer requests until stdin ends."""
        self._answer({"ready": os.getpid()})
        while True:
            while not self._requests.lines:
                if not self._requests.read():
                    self.gone()
            request = json.loads(self._requests.lines.pop(0))
            with suppress(BrokenPipeError):
                self._answer(self._carry_out(request))

    @staticmethod
    def gone() -> NoReturn:
        """End everything that was made here, and this process."""
        with suppress(OSError):
            end_below(os.getpid())
        os.killpg(0, signal.SIGKILL)
        os._exit(1)

    def _carry_out(self, request: dict[str, Any]) -> messages.Message:
        if self._abilities is None:
            self._abilities = abilities(request["scratch"])
            prepare(apart=self._abilities.namespaces)
        try:
            module = importlib.import_module(request["function"].split(":")[0])
            allowed = set(getattr(module, "WARM", ()))
            while True:
                message = self._run(request)
                wanted = set(message.get("needs", ()))
                if not wanted:
                    return message
                if not wanted <= allowed:
                    return messages.failed(f"the job asks for modules that its WARM does not name: {sorted(wanted)}")
                allowed -= wanted
                for name in wanted:
                    importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - the process edge: the service is told, whatever it was
            return messages.failed(f"{type(error).__name__}: {error}", traceback.format_exc())

    def _run(self, request: dict[str, Any]) -> messages.Message:
        """Fork, hand progress on, and give the last message when all processes of the job have ended."""
        assert self._abilities is not None
        if len(sys.modules) != self._imported:
            gc.collect()
            gc.freeze()  # a collection in the job would write to every object, and copy the pages of all
            self._imported = len(sys.modules)
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            closing = (self._channel, self._wake, self._waker, reading)
            job = forks.fork(request, writing, closing=closing, apart=self._abilities.namespaces)
            os.close(writing)
            return self._follow(job, Lines(reading))
        finally:
            os.close(reading)

    def _follow(self, job: int, said: Lines) -> messages.Message:
        last: list[messages.Message] = []
        speaking = [said.handle]
        try:
            while (status := _status(job)) is None:
                ready, _, _ = select.select([0, self._wake, *speaking], [], [])
                if 0 in ready and not self._requests.read():
                    self.gone()
                with suppress(BlockingIOError):
                    os.read(self._wake, 4096)
                if said.handle in ready and said.read() == 0:
                    speaking.clear()
                self._hand_on(said, last)
        finally:
            end_below(os.getpid())
            _collect_ended()
        while said.read():
            pass
        self._hand_on(said, last)
        return last[0] if last else messages.failed(f"the job's process ended with status {status}")

    def _hand_on(self, said: Lines, last: list[messages.Message]) -> None:
        for line in said.take():
            message = messages.read(line)
            if "progress" in message:
                self._answer(message)
            else:
                last.append(message)


def _status(job: int) -> int | None:
    """How a child ended; None while it runs."""
    ended, status = os.waitpid(job, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _collect_ended() -> None:
    """Orphans that this process has adopted."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def main() -> None:
    """Become a worker."""
    places.readable()
    channel = os.dup(1)
    os.dup2(2, 1)
    if not LINUX:
        inline.serve(channel)
    prctl("parent death signal", PR_SET_PDEATHSIG, signal.SIGTERM)
    adopts_orphans()
    Host(channel).serve()


if __name__ == "__main__":
    main()
