"""Logs (structlog, JSON with trace and request id) and metrics (prometheus-client, one registry per process)."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from capstan_servicekit.redact import redact
from capstan_servicekit.trace import request_id, trace_id

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
        _redacted,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info],
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


class Metrics:
    """The metrics that every service has; a service adds its own to `registry`.

    Names are `capstan_<service>_<noun>_<unit>`.
    """

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self.prefix = f"capstan_{service.replace('-', '_')}"
        self.requests = Histogram(
            f"{self.prefix}_http_request_duration_seconds",
            "Time to answer an HTTP request",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.events = Counter(
            f"{self.prefix}_events_total", "Events handled, by outcome", ["type", "outcome"], registry=self.registry
        )
        self.work = Counter(
            f"{self.prefix}_work_items_total", "Long work, by outcome", ["kind", "outcome"], registry=self.registry
        )
        self.outbox = Gauge(
            f"{self.prefix}_outbox_rows",
            "Events committed and not yet acknowledged by the broker",
            registry=self.registry,
        )
