"""Content-addressed bytes behind a port: put once under the sha256, read by it for ever, checked at each reading."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Protocol

from capstan_servicekit.errors import Damaged, NotFound

PUT_BACK = "Put it back from a backup, byte for byte; what needs it can then be asked for again."


class Condition(StrEnum):
    """What a look at all bytes of an object says."""

    WHOLE = "whole"
    DAMAGED = "damaged"
    GONE = "gone"


class ObjectStore(Protocol):
    """Immutable objects per project, addressed by sha256. No byte is handed out that was not checked.

    An object that is damaged is set aside, so that nothing reads it by its path, and stays `Damaged` until the same
    bytes are put again, or the file is back in its place or whole where it was set aside.
    """

    async def put_bytes(self, project: str, content: bytes) -> str:
        """Store bytes durably; their digest. It takes the place of a damaged object."""
        ...

    async def put_file(self, project: str, source: Path) -> str:
        """Store a copy of a file durably; its digest. It takes the place of a damaged object."""
        ...

    async def read(self, project: str, digest: str) -> bytes:
        """All bytes of an object; NotFound, Damaged."""
        ...

    async def local_path(self, project: str, digest: str) -> Path:
        """A file with the object's bytes, to be read only; fetched when it is far away. NotFound, Damaged.

        A file is hashed when it is first asked for, and again when its inode, size or time of writing has changed.
        """
        ...

    async def exists(self, project: str, digest: str) -> bool:
        """Whether the object is there, damaged or not."""
        ...

    async def scrub(self, project: str, digest: str) -> Condition:
        """Read all of it, whatever is known of it, where it is kept for good; set it aside when it is damaged."""
        ...


async def path_of(objects: ObjectStore, project: str, digest: str, *, what: str) -> Path:
    """`local_path` of something that has to be there; Damaged begins with `what` it is when it is damaged or gone."""
    try:
        return await objects.local_path(project, digest)
    except NotFound as error:
        raise Damaged(f"{what} is gone: {error.detail}", hint=PUT_BACK) from error
    except Damaged as error:
        raise Damaged(f"{what} is damaged: {error.detail}", hint=error.hint, copy=error.copy) from error
