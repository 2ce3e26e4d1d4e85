"""The worker where there is no box (not Linux): each job runs in the worker itself, which is told apart by nothing."""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from typing import Any, NoReturn

from capstan_servicekit.jobs import task


def serve(channel: int) -> NoReturn:
    """Answer requests until stdin ends; then the whole process group ends at once."""
    say, lock = task.answers_to(channel), threading.Lock()

    def answer(message: dict[str, Any]) -> None:
        with lock:
            say(message)

    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    answer({"ready": os.getpid()})
    while True:
        task.run(requests.get(), answer)


def _read(requests: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        requests.put(json.loads(line))
    os.killpg(0, signal.SIGKILL)
