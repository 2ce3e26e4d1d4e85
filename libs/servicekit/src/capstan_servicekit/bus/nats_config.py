"""The broker's configuration file: fsync before ack, and one credential per service that may do just its part."""

from __future__ import annotations

import json
from pathlib import Path

from capstan_contracts.events import EVENTS
from capstan_contracts.ids import SERVICES
from capstan_servicekit.bus.nats import DEAD_STREAM, STREAM

ADMINISTRATOR = "platform"


def permissions(service: str) -> dict[str, list[str]]:
    """Publish: own event types, own dead letters, own consumer's API and acks. Subscribe: own inbox only."""
    own = sorted(name for name, event in EVENTS.items() if service == event.SERVICE)
    api = f"$JS.API.CONSUMER.{{}}.{STREAM}.{service}"
    return {
        "publish": [
            *(f"capstan.*.{name}" for name in own),
            f"capstan-dead.*.{service}.>",
            api.format("CREATE"),
            api.format("CREATE") + ".>",
            api.format("DURABLE.CREATE"),
            api.format("INFO"),
            api.format("MSG.NEXT"),
            f"$JS.ACK.{STREAM}.{service}.>",
        ],
        "subscribe": [f"_INBOX_{service}.>"],
    }


def render(*, host: str, port: int, store: Path, passwords: dict[str, str], pid_file: Path) -> str:
    """nats-server configuration (JSON is valid there). `sync_interval: always`: an ack means it is on disk."""
    users: list[dict[str, object]] = [{"user": ADMINISTRATOR, "password": passwords[ADMINISTRATOR]}]
    users += [
        {"user": service, "password": passwords[service], "permissions": permissions(service)} for service in SERVICES
    ]
    config = {
        "server_name": "capstan",
        "host": host,
        "port": port,
        "pid_file": str(pid_file),
        "max_payload": 1 << 20,
        "jetstream": {"store_dir": str(store), "sync_interval": "always", "max_memory_store": 0},
        "authorization": {"users": users},
    }
    return json.dumps(config, indent=1)


__all__ = ["ADMINISTRATOR", "DEAD_STREAM", "permissions", "render"]
