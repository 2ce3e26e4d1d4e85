"""What a run that goes on elsewhere is let in with, is given, and hands in. Everything ends with the run."""

from __future__ import annotations

import hmac
import math
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from capstan_contracts.rest.training import PodOrder, PodOutcome
from capstan_contracts.work import State
from capstan_servicekit.db.session import Database, ReadSession
from capstan_servicekit.errors import BadRequest, Conflict, InvalidData, NotFound, broken
from capstan_servicekit.objects.folder import stream_to_file
from capstan_servicekit.objects.port import ObjectStore
from capstan_servicekit.security.principals import new_token, token_digest
from capstan_training.actions.order_of_run import order_of
from capstan_training.actions.ports import PipelineFailed, PipelineOutOfMemory, PipelineResult
from capstan_training.domain.transcript import plain
from capstan_training.tables import HandoverRow, RunRow, run_row

INPUTS = ("ir", "training-set")
OUTPUTS = ("package", "holdout")


class RunPodApi:
    """The handover port for executors, and the other end of it for the run's own token."""

    def __init__(self, database: Database, objects: ObjectStore, scratch: Path) -> None:
        self._database, self._objects = database, objects
        self._scratch = scratch

    async def new_token(self, run: str) -> str:
        """A fresh token; only its digest is kept."""
        token = new_token()
        async with self._database.write() as session:
            row = await session.get(HandoverRow, run)
            if row is None:
                session.add(HandoverRow(run=run, tokens=[token_digest(token)]))
            else:
                row.tokens = [*row.tokens, token_digest(token)]
        return token

    async def admits(self, project: str, run: str, token: str) -> bool:
        """Whether the token is one of this run's, and the run still goes on."""
        async with self._database.read() as session:
            row, handover = await session.get(RunRow, run), await session.get(HandoverRow, run)
        if row is None or handover is None or row.project != project or State(row.state).finished:
            return False
        given = token_digest(token)
        return any([hmac.compare_digest(given, kept) for kept in handover.tokens])

    async def order(self, project: str, run: str) -> PodOrder:
        """What has to be done."""
        async with self._database.read() as session:
            order = order_of(await _ready(session, project, run), self._scratch)
        return PodOrder(
            arguments=dict(order.arguments),
            wants_training_set=order.wants_training_set,
            label=order.label,
            threads=order.threads,
            inputs={"ir": order.ir, "training-set": order.training_set},
        )

    async def input(self, project: str, run: str, name: str) -> Path:
        """The file of an input."""
        _check_name(name, INPUTS)
        async with self._database.read() as session:
            order = order_of(await _ready(session, project, run), self._scratch)
        return await self._objects.local_path(project, order.ir if name == "ir" else order.training_set)

    async def take(self, project: str, run: str, name: str, digest: str, chunks: AsyncIterator[bytes]) -> None:
        """Store an output; InvalidData when its bytes are not those of the digest."""
        _check_name(name, OUTPUTS)
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            file = Path(folder) / name
            got, size = await stream_to_file(chunks, file)
            if got != digest:
                raise InvalidData(
                    f"The {size} bytes that came are not those of {name} {digest[:12]}",
                    errors=broken("digest", "sha256 of the body"),
                )
            await self._objects.put_file(project, file)
        async with self._database.write() as session:
            row = await session.get_one(HandoverRow, run)
            if row.outcome is None:
                row.package, row.holdout = (digest, row.holdout) if name == "package" else (row.package, digest)

    async def finish(self, run: str, outcome: PodOutcome) -> None:
        """Take the outcome. The first one stays: another pod of the same run had the same pins."""
        if not all(math.isfinite(value) for value in outcome.metrics.values()):
            raise InvalidData("A metric is not a finite number", errors=broken("metrics", "finite numbers"))
        async with self._database.write() as session:
            row = await session.get_one(HandoverRow, run)
            if outcome.kind == "made" and (row.package is None or row.holdout is None):
                raise BadRequest("An output has not been handed in", errors=broken("kind", "after both outputs"))
            if row.outcome is None:
                row.outcome = outcome

    async def outcome(self, run: str) -> PipelineResult | None:
        """What was handed in, as the executor returns or raises it."""
        async with self._database.read() as session:
            row, pinned = await session.get(HandoverRow, run), await session.get_one(RunRow, run)
        if row is None or row.outcome is None:
            return None
        outcome = row.outcome
        if outcome.kind == "failed":
            raise PipelineFailed(plain(outcome.detail))
        if outcome.kind == "out-of-memory":
            raise PipelineOutOfMemory(f"it held more than {order_of(pinned, self._scratch).memory_mb} MB")
        if outcome.kind == "refused":
            raise InvalidData(outcome.detail, errors=outcome.errors)
        return PipelineResult(row.package or "", row.holdout or "", outcome.metrics)


async def _ready(session: ReadSession, project: str, run: str) -> RunRow:
    row = await run_row(session, project, run)
    if row.training_set is None:
        raise Conflict("The run has no training set yet")
    return row


def _check_name(name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise NotFound(f"no {name!r}; there are: {', '.join(names)}")
