"""The home folder: its layout, its secrets, and the record of what runs."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from capstan_contracts.ids import SERVICES
from capstan_contracts.roles import Role
from capstan_servicekit.bus.nats_config import ADMINISTRATOR
from capstan_servicekit.security.auth import EVERY_PROJECT, new_token, token_digest, write_secret


@dataclass
class Record:
    """`run/platform.json`: what runs, so that clients find it and the next start can clean up after a crash."""

    state: str
    supervisor: int
    supervisor_started: float
    services: dict[str, str] = field(default_factory=dict)
    model_server: str = ""
    broker: str = ""
    processes: dict[str, tuple[int, float]] = field(default_factory=dict)
    ready_s: float | None = None
    model_servers: dict[str, str] = field(default_factory=dict)
    """On a cluster: the address of each deployment's own model server, by `project/deployment`."""
    cluster: dict[str, str] = field(default_factory=dict)
    """On a cluster: context, namespace and release; empty on a laptop."""


OWNER_ALONE = 0o077
"""The umask of all that runs on a laptop: files 0600, folders 0700."""


class Home:
    """Paths below the home folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record_file = folder / "run" / "platform.json"
        self.lock_file = folder / "run" / "lock"
        self.token_file = folder / "secrets" / "token"
        self.trust_file = folder / "secrets" / "trust-recipes"
        """Is there when the owner has said once that all recipes may run here unboxed (`up --trust-recipes`)."""

    def path(self, *parts: str) -> Path:
        """A path below the folder."""
        return self.folder.joinpath(*parts)

    def prepare(self) -> None:
        """Make the folders, for the owner alone; those that were open are closed."""
        for name in ("", "run", "db", "nats", "objects", "online", "spool", "logs", "scratch", "secrets"):
            self.path(name).mkdir(parents=True, exist_ok=True)
            self.path(name).chmod(0o700)

    def record(self) -> Record | None:
        """What the last supervisor wrote; None when nothing was written or it is unreadable."""
        try:
            read: dict[str, Any] = json.loads(self.record_file.read_text())
            return Record(**read)
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write_record(self, record: Record) -> None:
        """Replace the record."""
        draft = self.record_file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(record), indent=1))
        draft.rename(self.record_file)

    def ensure_identities(self) -> dict[str, str]:
        """Tokens of the user and of each service, made on the first start; the broker's passwords are returned."""
        passwords_file = self.path("secrets", "broker.json")
        if not passwords_file.exists():
            write_secret(passwords_file, json.dumps({n: secrets.token_hex(16) for n in (*SERVICES, ADMINISTRATOR)}))
        principals_file = self.path("secrets", "principals.json")
        if not principals_file.exists():
            entries = [self._principal("local", "user", Role.ADMIN, self.token_file)]
            for service in SERVICES:
                file = self.path("secrets", f"{service}.token")
                entries.append(self._principal(service, "service", Role.SERVICE, file))
            write_secret(principals_file, json.dumps({"principals": entries}, indent=1))
        passwords: dict[str, str] = json.loads(passwords_file.read_text())
        return passwords

    @staticmethod
    def _principal(name: str, kind: str, role: Role, file: Path) -> dict[str, Any]:
        token = new_token()
        write_secret(file, token)
        return {"id": name, "kind": kind, "roles": {EVERY_PROJECT: role.value}, "token_sha256": token_digest(token)}
