"""Take training's part of a loop, or say what taking it would change."""

from __future__ import annotations

from capstan_contracts.errors import FieldError
from capstan_contracts.loop import LoopPart
from capstan_contracts.rest.common import PartStatus
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.errors import Conflict, InvalidSpec, NotBuiltYet, broken
from capstan_servicekit.runtime import Kit
from capstan_training.actions.choose_pipeline import ChoosePipeline
from capstan_training.actions.consider_start import CONSIDER
from capstan_training.domain.part import TrainingPart, changes
from capstan_training.tables import LoopRow


class TakePart:
    """`PUT /loops/{loop}`."""

    def __init__(self, kit: Kit, choose: ChoosePipeline) -> None:
        self._kit, self._choose = kit, choose

    async def __call__(self, project: str, loop: str, body: LoopPart, *, dry_run: bool) -> PartStatus:
        """Validate whole, then store; the same content again changes nothing."""
        _check(project, loop, body)
        part = TrainingPart.of(body)
        pipeline = await self._choose(project, part)
        if dry_run:
            async with self._kit.database.read() as session:
                found = await self._changes(session, project, part, body.generation)
            return PartStatus(service="training", loop=loop, generation=body.generation, changes=found)
        async with self._kit.database.write() as session:
            found = await self._changes(session, project, part, body.generation)
            row = await session.get(LoopRow, (project, loop))
            if row is None:
                row = LoopRow(project=project, loop=loop, generation=body.generation)
                session.add(row)
            if found:
                row.part, row.pipeline = part.to_json(), pipeline.to_json()
                row.applied_at = self._kit.clock.now()
                payload = {"loop": loop, "dataset": part.dataset, "version": None}
                key = f"{loop}:applied:{body.generation}"
                await self._kit.work.add(session, CONSIDER, key=key, project=project, payload=payload)
            row.generation = max(row.generation, body.generation)
        return PartStatus(service="training", loop=loop, generation=body.generation, changes=found)

    @staticmethod
    async def _changes(session: ReadSession, project: str, part: TrainingPart, generation: int) -> list[str]:
        row = await session.get(LoopRow, (project, part.loop))
        found = changes(TrainingPart.from_json(row.part) if row is not None else None, part)
        if found and row is not None and generation < row.generation:
            raise Conflict(
                f"Generation {generation} of {part.loop} is older than {row.generation}, which training has",
                hint="Apply the loop again: the registry hands out its newest generation.",
            )
        return found


def _check(project: str, loop: str, body: LoopPart) -> None:
    whole = body.resolved.loop
    if whole.metadata.name != loop or whole.metadata.project != project:
        raise InvalidSpec(
            f"The loop calls itself {whole.metadata.project}/{whole.metadata.name}, the address {project}/{loop}",
            errors=broken("metadata", f"name {loop!r}, project {project!r}"),
        )
    unbuilt = [(place, rule) for place, rule in whole.not_built_yet() if place.startswith("spec.training")]
    if unbuilt:
        raise NotBuiltYet(unbuilt[0][1], errors=[FieldError(place=place, rule=rule) for place, rule in unbuilt])
    features = whole.spec.features
    if features is not None and features.service != body.resolved.definitions.service.name:
        raise InvalidSpec(
            f"The loop names the feature service {features.service}, the definitions "
            f"{body.resolved.definitions.service.name}",
            errors=broken("spec.features.service", body.resolved.definitions.service.name),
        )
