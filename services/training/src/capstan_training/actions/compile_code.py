"""Compile the pipelines of an archive in a job, and keep their IR as objects."""

from __future__ import annotations

from capstan_contracts.documents import JsonObject
from capstan_contracts.errors import Code, FieldError, Problem
from capstan_contracts.ids import short
from capstan_contracts.work import State
from capstan_servicekit.db.session import WriteSession
from capstan_servicekit.errors import InvalidData, NotFound, broken
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.pool import JobPool, JobTimedOut
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.work.kinds import Work, WorkItem
from capstan_servicekit.work.lease import Lease
from capstan_training.domain.jobs import GROUP, ArchiveToRead, CompiledRecipe
from capstan_training.domain.work import ArchiveToCompile
from capstan_training.tables import CodeRow

COMPILE = JobKind(GROUP, "capstan_training.jobs.compile_recipe:run", ArchiveToRead, CompiledRecipe)


class CompileCode(Work[ArchiveToCompile]):
    """One at a time: there is one worker."""

    Payload = ArchiveToCompile
    max_attempts = 4

    def __init__(self, jobs: JobPool, objects: ObjectStore, *, timeout_s: float) -> None:
        self._jobs, self._objects = jobs, objects
        self._timeout_s = timeout_s

    async def run(self, item: WorkItem[ArchiveToCompile], lease: Lease) -> None:
        """Unpack, compile, store."""
        digest = item.payload.digest
        archive = await self._objects.local_path(item.project, digest)
        async with self._jobs.scratch() as folder:
            try:
                compiled = await self._jobs.call(
                    COMPILE,
                    ArchiveToRead(str(archive)),
                    project=item.project,
                    scratch=folder,
                    readable=[archive],
                    timeout_s=self._timeout_s,
                    progress=lease.progress,
                )
            except JobTimedOut as error:
                raise InvalidData(
                    f"Compiling took longer than {self._timeout_s:g} s",
                    hint="Importing the pipeline's file must not train, download or wait.",
                    errors=broken("archive", f"compiles within {self._timeout_s:g} s"),
                    code=Code.DEADLINE,
                ) from error
            pipelines: dict[str, JsonObject] = {}
            for name, pipeline in compiled.pipelines.items():
                file = made_file(folder, compiled.irs[name])
                pipelines[name] = {**pipeline, "ir": await self._objects.put_file(item.project, file)}
        async with lease.finish() as session:
            row = await session.get(CodeRow, (item.project, digest))
            if row is None:
                raise NotFound(f"no recipe archive {short(digest)}")
            row.pipelines, row.errors = pipelines, compiled.errors
            row.problem = _problem(pipelines, compiled.errors)
            row.state = State.FAILED if row.problem else State.SUCCEEDED

    async def failed(self, session: WriteSession, item: WorkItem[ArchiveToCompile], problem: Problem) -> None:
        """The archive could not be compiled at all."""
        row = await session.get(CodeRow, (item.project, item.payload.digest))
        if row is not None:
            row.state, row.problem = State.FAILED, problem


def _problem(pipelines: dict[str, JsonObject], errors: dict[str, str]) -> Problem | None:
    if errors:
        return Problem(
            title="A pipeline does not compile",
            status=400,
            code=Code.INVALID_DATA,
            detail="; ".join(f"{name}: {sentence}" for name, sentence in sorted(errors.items()))[:2000],
            errors=[FieldError(place=name, rule=sentence) for name, sentence in sorted(errors.items())],
        )
    if not pipelines:
        return Problem(
            title="No pipeline in the recipe",
            status=400,
            code=Code.INVALID_DATA,
            detail="No file of the recipe has a top-level function decorated with @dsl.pipeline.",
            errors=[FieldError(place="archive", rule="at least one @dsl.pipeline function")],
        )
    return None
