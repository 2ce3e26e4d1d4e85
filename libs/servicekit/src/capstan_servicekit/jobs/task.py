"""One job, in the process that was made for it."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from capstan_servicekit.jobs import messages
from capstan_servicekit.jobs.api import Job, JobRefused, NotImported, fields_of

Answer = Callable[[messages.Message], None]


def answers_to(handle: int) -> Answer:
    """Says messages into a pipe, as lines."""

    def answer(message: messages.Message) -> None:
        data = memoryview(json.dumps(message, default=_plain).encode() + b"\n")
        while data:
            data = data[os.write(handle, data) :]

    return answer


def run(request: dict[str, Any], answer: Answer) -> None:
    """Call the function and say what became of it."""
    module, function = request["function"].split(":")

    def report(done: int, total: int, message: str) -> None:
        answer(messages.progress(done, total, message))

    job = Job(request["input"], Path(request["scratch"]), request.get("traceparent"), report)
    try:
        result = getattr(importlib.import_module(module), function)(job)
        answer({"result": fields_of(result) if dataclasses.is_dataclass(result) else result})
    except NotImported as wanted:
        answer({"needs": wanted.modules})
    except JobRefused as refused:
        answer(messages.refused(refused.detail, refused.errors, refused.code))
    except MemoryError:
        answer(messages.failed(messages.OUT_OF_MEMORY))
    except BaseException as error:  # noqa: BLE001 - the process edge: the service is told, whatever it was
        answer(messages.failed(f"{type(error).__name__}: {error}", traceback.format_exc()))


def _plain(value: Any) -> Any:
    """Numbers of numpy and the like, as JSON can hold them."""
    if hasattr(value, "item"):
        return value.item()
    return str(value)
