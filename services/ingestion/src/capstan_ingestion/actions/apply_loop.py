"""Take ingestion's part of a loop: its dataset and the further ones that its views read."""

from __future__ import annotations

import hashlib
import json

from capstan_contracts.loop import LoopPart
from capstan_contracts.rest.common import PartStatus
from capstan_ingestion.actions.put_dataset import changes_to, put_dataset, validate
from capstan_ingestion.tables import LoopRow
from capstan_servicekit.errors import Conflict, Invalid, broken
from capstan_servicekit.runtime import Kit


class ApplyLoop:
    """Registers the datasets of a loop. An older generation, or the same again, changes nothing."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    async def __call__(self, project: str, loop: str, part: LoopPart, *, dry_run: bool) -> PartStatus:
        """Validate the part; with `dry_run` say what would change, else change it."""
        named = part.resolved.loop.metadata
        if (named.project, named.name) != (project, loop):
            raise Invalid(
                f"The body is loop {named.name!r} of project {named.project!r}",
                errors=broken("resolved.loop.metadata", "the project and the loop of the path"),
            )
        spec = part.resolved.loop.spec
        datasets = [spec.dataset, *spec.sources]
        for dataset in datasets:
            validate(dataset)
        text = json.dumps([dataset.model_dump(mode="json") for dataset in datasets], sort_keys=True)
        content = hashlib.sha256(text.encode()).hexdigest()
        status = PartStatus(service=self._kit.service, loop=loop, generation=part.generation)
        if dry_run:
            async with self._kit.database.read() as session:
                found = [change for one in datasets for change in await changes_to(session, project, one)]
            return status.model_copy(update={"changes": found})
        async with self._kit.database.write() as session:
            now = self._kit.clock.now()
            row = await session.get(LoopRow, (project, loop))
            if row is not None and row.generation > part.generation:
                return status.model_copy(update={"generation": row.generation})
            if row is not None and row.generation == part.generation and row.content != content:
                raise Conflict(
                    f"Generation {part.generation} of loop {loop!r} was applied with other datasets",
                    hint="Apply the loop again through the registry: it counts generations.",
                )
            if row is None:
                row = LoopRow(project=project, name=loop, generation=0, content="", updated_at=now)
                session.add(row)
            found = [change for one in datasets for change in await put_dataset(session, project, one, now)]
            row.generation, row.content, row.updated_at = part.generation, content, now
        return status.model_copy(update={"changes": found})
