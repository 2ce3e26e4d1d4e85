"""What leaves the pod: closed segments of the prediction log, and a report each second on what has not left yet."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import Literal

from capstan_contracts.rest.inference import ServerReport
from capstan_inference.actions.ports import Placement, SealedSegment, SegmentSummary
from capstan_inference.adapters.data_plane import DataPlane
from capstan_inference.adapters.pod.control import Control
from capstan_inference.adapters.spool import FolderSpool
from capstan_servicekit.errors import CapstanError, InvalidData
from capstan_servicekit.telemetry.logs import logger

log = logger(__name__)
EVERY_S, AGAIN_AFTER_S = 0.3, 1.0
_STATUS_S = 1.0

State = Literal["starting", "serving", "draining", "drained"]


class Shipper:
    """Segments leave oldest first, one at a time; a file is removed once the control has told of it."""

    def __init__(self, control: Control, spool: FolderSpool, plane: DataPlane, placement: Placement) -> None:
        self._control, self._spool, self._plane, self._placement = control, spool, plane, placement
        self._one_at_a_time = asyncio.Lock()
        self._summaries: dict[str, SegmentSummary | None] = {}
        self._open_records = 0
        self._flushed: tuple[int, str | None, int] = (0, None, 0)
        self._away = False
        self.state: State = "starting"

    async def run(self) -> None:
        """Until cancelled: ship what is closed."""
        while True:
            pause = EVERY_S
            try:
                await self.ship()
            except (OSError, CapstanError) as error:
                log.warning("segments.not_shipped", error=str(error))
                pause = AGAIN_AFTER_S
            await asyncio.sleep(pause)

    async def report_each(self, seconds: float) -> None:
        """Until cancelled: report, and carry out what the answers ask for."""
        async with asyncio.TaskGroup() as group:
            under_way = 0
            while True:
                wanted = await self._report_kindly()
                if wanted > max(self._flushed[0], under_way):
                    under_way = wanted
                    group.create_task(self._flush(wanted))
                await asyncio.sleep(seconds)

    async def ship(self) -> list[tuple[str, int]]:
        """Ship all closed segments; (digest, rows) of each. CapstanError where the control does not take one now."""
        async with self._one_at_a_time:
            return await self._ship()

    async def _ship(self) -> list[tuple[str, int]]:
        done = []
        for segment in await self._spool.sealed():
            summary = await self._summary(segment)
            if summary is None:
                await self._set_aside(segment, "it cannot be read")
                continue
            content = await asyncio.to_thread(segment.path.read_bytes)
            digest = hashlib.sha256(content).hexdigest()
            try:
                await self._control.ship(digest, content, summary.closed_at)
            except InvalidData as error:
                await self._set_aside(segment, error.detail)
                continue
            await self._spool.drop(segment)
            self._summaries.pop(segment.path.name, None)
            done.append((digest, summary.rows))
        return done

    async def _set_aside(self, segment: SealedSegment, why: str) -> None:
        log.error("segment.damaged", segment=segment.path.name, why=why)
        await self._spool.set_aside(segment)

    async def unshipped(self) -> int:
        """Records that only this pod has: closed ones, and those of the segment that is open."""
        with suppress(CapstanError):
            if self._plane.ready.is_set():
                reply = await self._plane.ask({"do": "status"}, patience_s=_STATUS_S)
                self._open_records = int(reply["open_records"])
        closed = [await self._summary(segment) for segment in await self._spool.sealed()]
        return self._open_records + sum(summary.records for summary in closed if summary is not None)

    async def leave(self, patience_s: float) -> bool:
        """The data plane has ended: close what it left, ship everything and say so. False where time was too short."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        await self._spool.seal_left()
        self._open_records = 0
        while True:
            try:
                await self.ship()
                self.state = "drained"
                await self._report()
                return True
            except (OSError, CapstanError) as error:
                self.state = "draining"
                log.warning("segments.not_shipped", error=str(error))
            if loop.time() > until:
                log.error("prediction_log.left_behind", records=await self.unshipped())
                return False
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _summary(self, segment: SealedSegment) -> SegmentSummary | None:
        if segment.path.name not in self._summaries:
            try:
                self._summaries[segment.path.name] = await self._spool.summary(segment)
            except FileNotFoundError:  # shipped meanwhile
                return None
        return self._summaries[segment.path.name]

    async def _report(self) -> int:
        placement, (number, segment, rows) = self._placement, self._flushed
        report = ServerReport(
            state=self.state,
            revision=placement.revision,
            model_version=placement.version,
            package=placement.package,
            records=await self.unshipped(),
            flushed=number,
            flushed_segment=segment,
            flushed_rows=rows,
        )
        return (await self._control.report(report)).flush

    async def _report_kindly(self) -> int:
        """A control that is away is told of once in the log, and is missed no more than that."""
        try:
            wanted = await self._report()
        except (OSError, CapstanError) as error:
            if not self._away:
                log.warning("control.away", error=str(error))
            self._away = True
            return 0
        if self._away:
            log.info("control.back")
        self._away = False
        return wanted

    async def _flush(self, number: int) -> None:
        command = {"do": "flush", "project": self._placement.project, "deployment": self._placement.deployment}
        while True:
            try:
                # Nobody else may ship in between: the answer is to name what was closed for it.
                async with self._one_at_a_time:
                    await self._plane.ask(command)
                    done = await self._ship()
                break
            except (OSError, CapstanError) as error:
                log.warning("flush.failed", error=str(error))
                await asyncio.sleep(AGAIN_AFTER_S)
        self._flushed = (number, done[-1][0] if done else None, sum(rows for _, rows in done))
        await self._report_kindly()
