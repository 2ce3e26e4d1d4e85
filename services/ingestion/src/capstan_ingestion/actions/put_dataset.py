"""Register a dataset: its contract is refused here, and not when the first batch arrives."""

from __future__ import annotations

from datetime import datetime

from capstan_contracts.errors import FieldError
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import Dataset
from capstan_ingestion.actions.describe import describe_dataset
from capstan_ingestion.domain.contract import ContractBroken, read_contract
from capstan_ingestion.domain.files import installed_media
from capstan_ingestion.tables import DatasetRow, dataset_row, spec_of
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import Database, ReadSession, WriteSession
from capstan_servicekit.errors import Invalid, InvalidSpec, NotBuiltYet, broken


def validate(spec: DatasetSpec) -> None:
    """Refuse a contract that no batch could be held against, and what is not built yet."""
    if spec.schedule is not None:
        raise NotBuiltYet(
            f"dataset {spec.name}: scheduled ingestion is not built yet",
            hint="Leave `schedule` out for now.",
            errors=broken("schedule", "not there"),
        )
    for medium in spec.media:
        if medium.kind not in installed_media():
            raise InvalidSpec(
                f"dataset {spec.name}: the medium {medium.kind!r} is not installed",
                hint="Install the distribution that adds it beside capstan-ingestion, in its job environment as well.",
                errors=broken("media", f"one of {', '.join(installed_media())}"),
            )
    try:
        read_contract(spec.contract)
    except ContractBroken as error:
        places = [FieldError(place=f"contract.{place}", rule=rule) for place, rule in error.errors[:50]]
        raise InvalidSpec(
            f"The contract of dataset {spec.name} breaks {len(error.errors)} rule(s): {error}",
            hint="A contract is a Great Expectations suite: {name, expectations: [{type, kwargs, severity}]}.",
            errors=places,
        ) from error


async def changes_to(session: ReadSession, project: str, spec: DatasetSpec) -> list[str]:
    """One sentence per thing that registering would change."""
    row = await session.get(DatasetRow, (project, spec.name))
    count = len(read_contract(spec.contract))
    if row is None:
        return [f"dataset {spec.name}: registered, its contract has {count} expectations"]
    before = spec_of(row)
    changes = []
    if before.contract != spec.contract:
        changes.append(f"dataset {spec.name}: contract changed, it has {count} expectations now")
    before_json, spec_json = before.model_dump(mode="json"), spec.model_dump(mode="json")
    for name in ("source", "media", "columns", "rename", "ignore", "keys", "event_time", "known_at", "modality"):
        old, new = before_json[name], spec_json[name]
        if old != new:
            changes.append(f"dataset {spec.name}: {name} changed from {old} to {new}")
    return changes


async def put_dataset(session: WriteSession, project: str, spec: DatasetSpec, now: datetime) -> list[str]:
    """Register or change a dataset; what changed. The same again changes nothing."""
    changes = await changes_to(session, project, spec)
    row = await session.get(DatasetRow, (project, spec.name))
    if row is None:
        row = DatasetRow(project=project, name=spec.name, spec={}, latest=None, created_at=now, updated_at=now)
        session.add(row)
    if changes:
        row.spec, row.updated_at = spec.model_dump(mode="json"), now
    await session.flush()
    return changes


class PutDataset:
    """`PUT /datasets/{dataset}`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def __call__(self, project: str, name: str, spec: DatasetSpec) -> Dataset:
        """The dataset as it is from now on. Invalid, InvalidSpec, NotBuiltYet."""
        if spec.name != name:
            raise Invalid(f"The body is dataset {spec.name!r}", errors=broken("name", "the name in the path"))
        validate(spec)
        async with self._database.write() as session:
            await put_dataset(session, project, spec, self._clock.now())
            return await describe_dataset(session, await dataset_row(session, project, name))
