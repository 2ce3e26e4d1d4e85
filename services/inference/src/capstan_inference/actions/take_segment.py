"""A closed log segment that a model server brings: stored and told of, then nothing of it is left to lose there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from capstan_contracts.rest.inference import ShippedSegment
from capstan_inference.actions.ports import SealedSegment, Spool
from capstan_inference.actions.ship_segments import ShipSegments
from capstan_servicekit.errors import InvalidData


class TakeSegment:
    """The same effect as of a segment in the control's own spool; doing it twice does nothing the second time."""

    def __init__(self, spool: Spool, ship: ShipSegments) -> None:
        self._spool, self._ship = spool, ship

    async def __call__(
        self, project: str, deployment: str, digest: str, file: Path, arrived: str, closed_at: datetime
    ) -> ShippedSegment:
        """`arrived` is the digest of the bytes that came. InvalidData where they are not what they should be."""
        if arrived != digest:
            raise InvalidData(f"the bytes are {arrived[:12]}, not {digest[:12]}", hint="Send the segment again.")
        segment = SealedSegment(project, deployment, file)
        summary = await self._spool.summary(segment)
        if summary is None:
            raise InvalidData(f"{digest[:12]} is no closed segment of the prediction log with records in it")
        await self._ship.publish(segment, replace(summary, closed_at=closed_at))
        return ShippedSegment(segment=digest, rows=summary.rows)
