"""What a worker says to its service, line by line: JSON objects with one of four names.

A job's process is not trusted to keep to it: its lines are read here before they are handed on.
"""

from __future__ import annotations

import json
from typing import Any

Message = dict[str, Any]
OUT_OF_MEMORY = "out of memory"
"""The summary of a failure for which the kernel refused memory."""


def progress(done: int, total: int, message: str) -> Message:
    """How far a job is."""
    return {"progress": {"done": int(done), "total": int(total), "message": str(message)[:2000]}}


def failed(summary: str, trace: str = "") -> Message:
    """The job raised or its process ended; may succeed when tried again."""
    return {"failed": {"summary": summary[:2000], "traceback": trace[-8000:]}}


def refused(detail: str, errors: list[tuple[str, str]], code: str) -> Message:
    """The input cannot be worked on."""
    return {"refused": {"detail": detail, "errors": errors, "code": code}}


def read(line: bytes) -> Message:
    """The message of a job's process: `progress`, `result`, `refused`, `failed` or `needs`. ValueError."""
    try:
        told = json.loads(line)
        (name, value), *more = told.items()
        if more:
            raise ValueError("more than one message in a line")
        return _checked(name, value)
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a message of a job: {error}") from error


def _checked(name: str, value: Any) -> Message:
    if name == "progress":
        return progress(value["done"], value["total"], value["message"])
    if name == "failed":
        return failed(str(value["summary"]), str(value["traceback"]))
    if name == "refused":
        return refused(
            str(value["detail"]), [(str(place), str(rule)) for place, rule in value["errors"]], str(value["code"])
        )
    if name == "needs":
        return {"needs": [str(module) for module in value]}
    if name == "result" and (value is None or isinstance(value, dict)):
        return {"result": value}
    raise ValueError("not a message of a job")
