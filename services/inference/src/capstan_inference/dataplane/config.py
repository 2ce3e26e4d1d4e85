"""What the model server is told: one JSON line on stdin at its start, and placements of models later on."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from capstan_servicekit.http.senders import SenderLimits


@dataclass(frozen=True, slots=True)
class Placement:
    """One deployment: which package answers for which name, and what of a request is logged under which role."""

    project: str
    deployment: str
    version: int
    revision: int
    package: str
    path: Path
    #: Request column that holds the event time of a row, when it is there.
    event_time_column: str | None = None
    #: Request columns that name the entity, besides those that lookups read.
    entity_columns: tuple[str, ...] = ()
    log_features: bool = True

    @classmethod
    def from_json(cls, source: dict[str, Any]) -> Self:
        """From the control's JSON object."""
        names = {member.name for member in fields(cls)}
        values = {name: value for name, value in source.items() if name in names}
        values["path"] = Path(values["path"])
        values["entity_columns"] = tuple(values.get("entity_columns", ()))
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what one request may ask, and of what may wait."""

    max_body_bytes: int = 8 << 20
    max_rows: int = 5000
    max_waiting: int = 256
    deadline_s: float = 10.0
    #: What is expected to take no longer than this, lookups and records included, is answered on the event loop:
    #: handing it to a thread costs about half of it (two switches and the fight for the interpreter's lock), and nobody
    #: waits longer for it.
    inline_s: float = 0.001
    segment_bytes: int = 8 << 20
    segment_age_s: float = 10.0
    grace_s: float = 4.0
    header_s: float = 10.0
    body_s: float = 30.0
    #: A gateway counts as one peer.
    connections_per_peer: int = 2048

    @property
    def senders(self) -> SenderLimits:
        """What the server grants who sends."""
        return SenderLimits(self.header_s, self.body_s, connections_per_peer=self.connections_per_peer)

    @property
    def rows_beside(self) -> int:
        """Of all requests that wait for the model thread: 32 of the largest, or many small ones to a slow model."""
        return 32 * self.max_rows


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Everything the process needs; it reads no environment."""

    socket_fd: int
    spool: Path
    #: A folder, or redis://[:password@]host:port/number: not for any log.
    online: str = field(repr=False)
    principals: Path
    log_level: str = "INFO"
    #: Keys that every log line carries: which pod, which version.
    log_ids: dict[str, str] = field(default_factory=dict)
    #: End at once, before the first connection, where one of the placements cannot be loaded.
    all_or_nothing: bool = False
    limits: Limits = field(default_factory=Limits)
    placements: tuple[Placement, ...] = ()
    #: Project, deployment and why: what should be placed, and cannot.
    missing: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def from_json(cls, source: dict[str, Any]) -> Self:
        """From the first line on stdin."""
        return cls(
            socket_fd=int(source["socket_fd"]),
            spool=Path(source["spool"]),
            online=str(source["online"]),
            principals=Path(source["principals"]),
            log_level=str(source.get("log_level", "INFO")),
            log_ids=dict(source.get("log_ids", {})),
            all_or_nothing=bool(source.get("all_or_nothing", False)),
            limits=Limits(**source.get("limits", {})),
            placements=tuple(Placement.from_json(entry) for entry in source.get("placements", ())),
            missing=tuple((entry[0], entry[1], entry[2]) for entry in source.get("missing", ())),
        )
