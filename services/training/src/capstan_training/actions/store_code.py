"""Take a recipe archive: check it whole, keep it under its digest, have it compiled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from sqlalchemy import select

from capstan_contracts.ids import short
from capstan_contracts.rest.training import CodeArchive
from capstan_contracts.work import State
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Conflict, InvalidData, TooLarge, broken
from capstan_servicekit.jobs.pool import JobPool
from capstan_servicekit.objects.folder import stream_to_file
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.work.queue import WorkQueue
from capstan_training.actions.read_code import to_archive
from capstan_training.domain.archive import ArchiveError, members
from capstan_training.domain.trust import too_many
from capstan_training.domain.work import ArchiveToCompile
from capstan_training.tables import CodeRow


class StoreCode:
    """`PUT /code/{digest}`."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        work: WorkQueue,
        jobs: JobPool,
        objects: ObjectStore,
        *,
        max_bytes: int,
        persons: Callable[[], list[str]] | None = None,
    ) -> None:
        """`persons`: who has a token. Given where recipes cannot be kept from each other's files."""
        self._database, self._clock, self._work, self._jobs, self._objects = database, clock, work, jobs, objects
        self._max_bytes, self._persons = max_bytes, persons

    async def __call__(self, project: str, digest: str, chunks: AsyncIterator[bytes]) -> CodeArchive:
        """Store and enqueue compiling. The same archive again changes nothing, unless compiling had failed."""
        await self._need_trust(project)
        async with self._jobs.scratch() as folder:
            file = folder / "recipe.tar.gz"
            received, _ = await stream_to_file(self._capped(chunks), file)
            if received != digest:
                raise InvalidData(
                    f"The body's sha256 is {short(received)}…, the address says {short(digest)}…",
                    hint="Send the archive under the sha256 of its bytes.",
                    errors=broken("body", f"sha256 {digest}"),
                )
            await asyncio.to_thread(_inspect, file)
            await self._objects.put_file(project, file)
        async with self._database.write() as session:
            row = await session.get(CodeRow, (project, digest))
            if row is None:
                row = CodeRow(
                    project=project,
                    digest=digest,
                    attempt=1,
                    state=State.QUEUED,
                    pipelines={},
                    errors={},
                    problem=None,
                    created_at=self._clock.now(),
                )
                session.add(row)
            elif row.state == State.FAILED:
                row.attempt, row.state, row.problem = row.attempt + 1, State.QUEUED, None
            await self._work.add(session, ArchiveToCompile(digest, row.attempt), project=project)
            return to_archive(row)

    async def _need_trust(self, project: str) -> None:
        if self._persons is None:
            return
        async with self._database.read() as session:
            others = await session.scalars(select(CodeRow.project).where(CodeRow.project != project).distinct())
        if why := too_many(project, others.all(), self._persons()):
            raise Conflict(
                f"This machine cannot keep recipes from reading each other's files and secrets, and {why}",
                hint="Use Linux 5.13 or later with Landlock; or, if you trust all recipes as your own, "
                "`capstan up --trust-recipes` (CAPSTAN_TRAINING_TRUST_RECIPES=true).",
            )

    async def _capped(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self._max_bytes:
                raise TooLarge(
                    f"The archive is larger than {self._max_bytes} bytes",
                    hint="Leave data out of the recipe's folder; it belongs into datasets.",
                    errors=broken("body", f"at most {self._max_bytes} bytes"),
                )
            yield chunk


def _inspect(file: Path) -> None:
    """Read the archive to its end under the rules that unpacking has; nothing is written."""
    try:
        with file.open("rb") as stream:
            for _ in members(stream):
                pass
    except ArchiveError as error:
        raise InvalidData(
            f"The recipe archive is refused: {error}",
            hint="Pack plain files and folders only, as `tar -czf recipe.tar.gz -C <folder> .` does.",
            errors=broken(error.place, error.rule),
        ) from error
