"""What is judged: the candidate, the champion of the moment, the gates of the moment."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from capstan_contracts.kinds.gates import ChampionGate
from capstan_contracts.loop import ResolvedLoop
from capstan_registry.actions.stored_loop import stored_loop
from capstan_registry.domain.champions import standing
from capstan_registry.tables import ChampionRow, LoopRow, PromotionRow, VersionRow, crownings
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.errors import Conflict, NotFound


@dataclass(frozen=True)
class PromotionCase:
    """Rows as they were when judging began."""

    promotion: PromotionRow
    candidate: VersionRow
    champion: VersionRow | None
    former: tuple[VersionRow, ...]
    """Champions before this one, newest first, as many as a gate of the loop looks back to."""
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
        resolved = stored_loop(loop)
        former = await _former(session, candidate, champion, look_back(resolved)) if champion else ()
        return cls(row, candidate, champion, former, resolved)


def look_back(loop: ResolvedLoop) -> int:
    """To how many former champions the gates of a loop look back."""
    return max((gate.look_back for gate in loop.loop.spec.gates if isinstance(gate, ChampionGate)), default=0)


async def _former(
    session: ReadSession, candidate: VersionRow, champion: VersionRow, count: int
) -> tuple[VersionRow, ...]:
    """Champions that nobody went back from; neither the candidate nor the champion of now."""
    project, model = candidate.project, candidate.model
    standing_ones = standing(await crownings(session, project, model))
    former = [version for version in standing_ones if version not in (candidate.version, champion.version)]
    wanted = former[:count]
    of_model = (VersionRow.project == project, VersionRow.model == model, VersionRow.version.in_(wanted))
    rows = {row.version: row for row in await session.scalars(select(VersionRow).where(*of_model))}
    return tuple(rows[version] for version in wanted)
