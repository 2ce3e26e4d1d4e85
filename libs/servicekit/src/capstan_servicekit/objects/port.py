"""Content-addressed bytes behind a port: put once under the sha256, read by it for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class ObjectStore(Protocol):
    """Immutable objects per project, addressed by sha256."""

    async def put_bytes(self, project: str, content: bytes) -> str:
        """Store bytes durably; their digest."""
        ...

    async def put_file(self, project: str, source: Path) -> str:
        """Store a copy of a file durably; its digest."""
        ...

    async def read(self, project: str, digest: str) -> bytes:
        """All bytes of an object; NotFound."""
        ...

    async def local_path(self, project: str, digest: str) -> Path:
        """A file with the object's bytes, to be read only; fetched when it is far away. NotFound."""
        ...

    async def exists(self, project: str, digest: str) -> bool:
        """Whether the object is there."""
        ...
