"""The worker's main program: `python -m capstan_servicekit.jobs.host`. Standard library only.

Requests come as JSON lines on stdin, answers leave as JSON lines on the original stdout; whatever a job prints goes to
stderr. When stdin ends the service is gone, and the whole process group ends at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, TextIO

from capstan_servicekit.jobs.api import Job, JobRefused, fields_of


def _read_requests(requests: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        requests.put(json.loads(line))
    os.killpg(0, signal.SIGKILL)


def _plain(value: Any) -> Any:
    """Numbers of numpy and the like, as JSON can hold them."""
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def _run(request: dict[str, Any], answer: Any) -> None:
    module, function = request["function"].split(":")

    def report(done: int, total: int, message: str) -> None:
        answer({"progress": {"done": done, "total": total, "message": message}})

    job = Job(request["input"], Path(request["scratch"]), request.get("traceparent"), report)
    try:
        result = getattr(importlib.import_module(module), function)(job)
        answer({"result": fields_of(result) if dataclasses.is_dataclass(result) else result})
    except JobRefused as refused:
        answer({"refused": {"detail": refused.detail, "errors": refused.errors, "code": refused.code}})
    except MemoryError:
        answer({"failed": {"summary": "out of memory", "traceback": ""}})
    except BaseException as error:  # noqa: BLE001 - the process edge: the service is told, whatever it was
        summary = f"{type(error).__name__}: {error}"
        answer({"failed": {"summary": summary[:2000], "traceback": traceback.format_exc()[-8000:]}})


def main() -> None:
    """Answer requests until stdin ends."""
    channel: TextIO = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    lock = threading.Lock()

    def answer(message: dict[str, Any]) -> None:
        with lock, contextlib.suppress(BrokenPipeError):
            channel.write(json.dumps(message, default=_plain) + "\n")

    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    answer({"ready": os.getpid()})
    while True:
        _run(requests.get(), answer)


if __name__ == "__main__":
    main()
