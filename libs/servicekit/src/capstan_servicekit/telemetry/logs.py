"""Logs: structlog, JSON with trace and request id, secrets redacted."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from capstan_servicekit.security.redact import redact
from capstan_servicekit.telemetry.trace import request_id, trace_id

Logger = structlog.stdlib.BoundLogger


def _ids(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if trace := trace_id():
        entry["trace_id"] = trace
    if request := request_id():
        entry["request_id"] = request
    return entry


def _redacted(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: redact({key: value})[key] for key, value in entry.items()}


def configure_logging(*, service: str, json: bool, level: str = "INFO") -> None:
    """Send structlog and stdlib logging to stderr in one format. Called once per process."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _ids,
        structlog.processors.format_exc_info,  # before the redaction: the text of an error may hold a secret
        _redacted,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn.access", "httpx", "httpcore", "aiosqlite", "nats"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


def logger(name: str) -> Logger:
    """A logger for a module."""
    result: Logger = structlog.get_logger(name)
    return result
