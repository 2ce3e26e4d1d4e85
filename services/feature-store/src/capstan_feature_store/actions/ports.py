"""What the actions need of outside systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from capstan_contracts.rest.ingestion import Manifest


class Datasets(Protocol):
    """Ingestion, and the files of its versions. Never call it while a database session is open."""

    async def latest(self, project: str, dataset: str) -> str:
        """The newest version; NotFound where there is no dataset, BadRequest where it has no version yet."""
        ...

    async def manifest(self, project: str, dataset: str, version: str) -> Manifest:
        """The manifest of a version (12 characters of it suffice)."""
        ...

    async def files(self, project: str, manifest: Manifest) -> list[Path]:
        """The Parquet files of a version on this machine, in the manifest's order, each with its digest by now.

        Damaged names the version, the partition and the file. Asked again it reads only what was written meanwhile.
        """
        ...


@dataclass(frozen=True)
class OnlineValue:
    """What the online store says of one entity; `event_us` and `values` as far as there are any."""

    status: str
    event_us: int | None
    values: dict[str, Any]


@dataclass(frozen=True)
class Loaded:
    """What a view holds after its generation was taken in: entities. `newer` is why it was not: what it held is."""

    rows: int
    newer: str = ""


class OnlineStore(Protocol):
    """The online store: a view is replaced as a whole, while its readers go on."""

    def workplace(self, project: str, scratch: Path) -> Path:
        """The folder that a job writes a view's generation into."""
        ...

    async def take_in(self, project: str, view: str, folder: Path) -> Loaded | None:
        """Put to use what a job wrote there; None when writing it there was all.

        It replaces whatever the view held, but a later version of the dataset: `Loaded.newer` says so.
        """
        ...

    async def holds(self, project: str, view: str, version: str) -> bool:
        """Whether this version of the view is online and can be read. NotReady while the store is away."""
        ...

    async def read(
        self, project: str, view: str, version: str, keys: Sequence[Sequence[Any]], *, at_us: int
    ) -> list[OnlineValue]:
        """One value per key, as of event time `at_us`; all missing while this version is not online."""
        ...

    async def close(self) -> None:
        """Let go of open files."""
        ...


@dataclass(frozen=True)
class JobLimits:
    """What jobs may use, and how many rows of an entity are kept online beside those from now on."""

    memory_mb: int
    threads: int
    timeout_s: float
    check_timeout_s: float
    older_rows: int
