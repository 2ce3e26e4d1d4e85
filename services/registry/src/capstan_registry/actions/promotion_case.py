"""What is judged: the candidate, the champion of the moment, the gates of the moment."""

from __future__ import annotations

from dataclasses import dataclass

from capstan_contracts.loop import ResolvedLoop
from capstan_registry.actions.stored_loop import stored_loop
from capstan_registry.tables import ChampionRow, LoopRow, PromotionRow, VersionRow
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.errors import Conflict, NotFound


@dataclass(frozen=True)
class PromotionCase:
    """Rows as they were when judging began."""

    promotion: PromotionRow
    candidate: VersionRow
    champion: VersionRow | None
    loop: ResolvedLoop

    @classmethod
    async def load(cls, session: ReadSession, project: str, promotion: str) -> PromotionCase:
        """Conflict when the candidate is the champion already; NotFound when there is no loop to decide by."""
        row = await session.get_one(PromotionRow, promotion)
        candidate = await session.get_one(VersionRow, (project, row.model, row.version))
        current = await session.get(ChampionRow, (project, row.model))
        champion = None
        if current is not None:
            if current.version == row.version:
                raise Conflict(f"Version {row.version} of {row.model!r} is the champion already")
            champion = await session.get(VersionRow, (project, row.model, current.version))
        loop = await session.get(LoopRow, (project, row.model))
        if loop is None:
            raise NotFound(
                f"no loop {row.model!r} in project {project!r}, so there are no gates to decide by",
                hint="Apply the loop, then ask for the promotion again.",
            )
        return cls(row, candidate, champion, stored_loop(loop))
