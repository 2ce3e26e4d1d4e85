"""Metrics: prometheus-client, one registry per process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


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
