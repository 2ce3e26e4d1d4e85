"""Kinds that cannot be used are named at the start of a service, by a worker where importing them is its affair."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from capstan_contracts.kinds.broken import BrokenKinds, KindsToImport
from capstan_contracts.kinds.family import BrokenKind
from capstan_servicekit.broken_kinds import NameBrokenKinds
from capstan_servicekit.jobs.api import JobKind
from capstan_servicekit.jobs.pool import JobFailed

JOB = JobKind("platform", "toy_jobs:broken_kinds", KindsToImport, BrokenKinds)


@dataclass
class Toys:
    """A family; `imported` counts how often all of it was."""

    from_outside: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    imported: int = 0

    def broken(self) -> list[BrokenKind]:
        self.imported += 1
        return [BrokenKind("capstan.toys", fault, "no licence") for fault in self.faults]


@dataclass
class Jobs:
    """A worker that answers this, or fails."""

    answer: BrokenKinds | JobFailed
    called: list[JobKind[Any, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def scratch(self) -> AsyncIterator[Path]:
        yield Path()

    async def call(self, job: JobKind[Any, Any], given: KindsToImport, *, project: str, scratch: Path) -> BrokenKinds:
        self.called.append(job)
        if isinstance(self.answer, JobFailed):
            raise self.answer
        return self.answer


async def named(jobs: Any, specs: Toys, *implementations: Toys) -> list[str]:
    with capture_logs() as logs:
        await NameBrokenKinds(jobs, JOB, noun="toys", specs=specs, implementations=implementations).run()
    assert {(entry["event"], entry["log_level"]) for entry in logs} <= {("toys.broken", "warning")}
    return [entry["what"] for entry in logs]


async def test_specs_are_named_by_the_service_and_implementations_by_a_worker_that_imports_them() -> None:
    jobs, ours, others = Jobs(BrokenKinds(["capstan.toys: the kind 'drum' cannot be used"])), Toys(), Toys(("drum",))
    assert await named(jobs, Toys(faults=("kite",)), ours, others) == [
        "capstan.toys: the kind 'kite' cannot be used: no licence",
        "capstan.toys: the kind 'drum' cannot be used",
    ]
    assert jobs.called == [JOB] and ours.imported == others.imported == 0


async def test_where_all_kinds_are_our_own_no_worker_is_asked() -> None:
    jobs = Jobs(BrokenKinds(["never asked for"]))
    assert await named(jobs, Toys(), Toys(), Toys()) == [] and jobs.called == []


async def test_a_worker_that_fails_is_named_beside_what_is_known_without_it() -> None:
    jobs = Jobs(JobFailed("the worker ended with signal 9"))
    sentences = await named(jobs, Toys(faults=("kite",)), Toys(("drum",)))
    assert sentences[0].startswith("capstan.toys: the kind 'kite'") and sentences[1:] == [
        "the kinds from other distributions could not be looked at: the worker ended with signal 9"
    ]
