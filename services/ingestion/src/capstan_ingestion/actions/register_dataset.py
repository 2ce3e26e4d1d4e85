"""Register a dataset within somebody's transaction: its contract is refused here, not when the first batch arrives."""

from __future__ import annotations

from capstan_contracts.errors import FieldError
from capstan_contracts.kinds.family import BrokenKind, Family, UnknownKind
from capstan_contracts.kinds.modalities import GROUP as MODALITIES_GROUP
from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import Manifest
from capstan_ingestion.domain.contract import ContractBroken, read_contract
from capstan_ingestion.domain.files import installed_media
from capstan_ingestion.domain.schema import contradictions
from capstan_ingestion.sources.port import SOURCES
from capstan_ingestion.tables import DatasetRow, head_of, spec_of
from capstan_servicekit.clock import Clock
from capstan_servicekit.db.session import ReadSession, WriteSession
from capstan_servicekit.errors import InvalidSpec, NotBuiltYet, broken

_FIELDS = (
    "source", "media", "columns", "rename", "ignore", "keys", "on_repeated_keys", "event_time", "known_at", "modality",
)  # fmt: skip
_MODALITIES: Family[object] = Family(MODALITIES_GROUP)
"""By name only: their modules are for the job workers."""


class RegisterDataset:
    """For `PUT /datasets/{dataset}`, and for every dataset of a loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def check(self, spec: DatasetSpec) -> None:
        """Refuse what no batch could be held against, and what is not built yet. InvalidSpec, NotBuiltYet."""
        if spec.schedule is not None:
            raise NotBuiltYet(
                f"dataset {spec.name}: scheduled ingestion is not built yet",
                hint="Leave `schedule` out for now.",
                errors=broken("schedule", "not there"),
            )
        _check_kinds(spec)
        try:
            read_contract(spec.contract)
        except ContractBroken as error:
            places = [FieldError(place=f"contract.{place}", rule=rule) for place, rule in error.errors[:50]]
            raise InvalidSpec(
                f"The contract of dataset {spec.name} breaks {len(error.errors)} rule(s): {error}",
                hint="A contract is a Great Expectations suite: {name, expectations: [{type, kwargs, severity}]}.",
                errors=places,
            ) from error

    async def changes(self, session: ReadSession, project: str, spec: DatasetSpec) -> list[str]:
        """One sentence per thing that registering would change. InvalidSpec for what the files cannot follow."""
        row = await session.get(DatasetRow, (project, spec.name))
        count = len(read_contract(spec.contract))
        if row is None:
            return [f"dataset {spec.name}: registered, its contract has {count} expectations"]
        before = spec_of(row)
        await _check_files(session, row, before, spec)
        changes = []
        if before.contract != spec.contract:
            changes.append(f"dataset {spec.name}: contract changed, it has {count} expectations now")
        before_json, spec_json = before.model_dump(mode="json"), spec.model_dump(mode="json")
        for name in _FIELDS:
            old, new = before_json[name], spec_json[name]
            if old != new:
                changes.append(f"dataset {spec.name}: {name} changed from {old} to {new}")
        return changes

    async def __call__(self, session: WriteSession, project: str, spec: DatasetSpec) -> DatasetRow:
        """The row as it is from now on. The same again changes nothing. InvalidSpec as in `changes`."""
        await self.changes(session, project, spec)
        return await self.store(session, project, spec)

    async def store(self, session: WriteSession, project: str, spec: DatasetSpec) -> DatasetRow:
        """The row as it is from now on, of a dataset whose `changes` have been asked for in this transaction."""
        row = await session.get(DatasetRow, (project, spec.name))
        now = self._clock.now()
        if row is None:
            row = DatasetRow(project=project, name=spec.name, spec={}, latest=None, created_at=now, updated_at=now)
            session.add(row)
        if not row.spec or spec_of(row) != spec:
            row.spec, row.updated_at = spec.model_dump(mode="json"), now
        await session.flush()
        return row


async def _check_files(session: ReadSession, row: DatasetRow, before: DatasetSpec, spec: DatasetSpec) -> None:
    """Refuse here what every later file would be quarantined for. A lone file may still be sent again as another."""
    head = await head_of(session, row)
    if head is None or len(head.files) < 2:
        return
    _check_new_roles(head, before, spec)
    clocks = dict.fromkeys((name for name in (spec.event_time, spec.known_at) if name is not None), "timestamp")
    refused = contradictions(head.columns, {**spec.columns, **clocks})
    if refused:
        raise InvalidSpec(
            f"dataset {spec.name}: " + "; ".join(refused.values()),
            hint=f"GET /datasets/{spec.name} shows the columns that its files have.",
            errors=[FieldError(place=f"columns.{name}", rule=text) for name, text in refused.items()],
        )


def _check_new_roles(head: Manifest, before: DatasetSpec, spec: DatasetSpec) -> None:
    """A column that becomes a key or a clock: rows of files without it could not be told apart, or placed in time."""
    old = {name for names in _roles(before).values() for name in names}
    errors = [
        FieldError(place=place, rule=f"{name}: no file of the dataset has such a column, so its rows would have none")
        for place, names in _roles(spec).items()
        for name in names
        if name not in old and name not in head.columns
    ]
    if errors:
        raise InvalidSpec(
            f"dataset {spec.name}: " + "; ".join(error.rule for error in errors),
            hint="Send files that have the column first, or start a new dataset.",
            errors=errors,
        )


def _roles(spec: DatasetSpec) -> dict[str, list[str]]:
    """The columns that rows are told apart and placed in time by, by the field of the dataset that names them."""
    return {
        "keys": spec.keys,
        "eventTime": [spec.event_time],
        "knownAt": [] if spec.known_at is None else [spec.known_at],
    }


def _check_kinds(spec: DatasetSpec) -> None:
    """A kind whose spec is installed and whose implementation is not would be accepted and never read."""
    for medium in spec.media:
        if medium.kind not in installed_media():
            raise _not_installed(spec, "media", f"the medium {medium.kind!r}", installed_media())
    if spec.modality.kind not in _MODALITIES:
        raise _not_installed(spec, "modality", f"the modality {spec.modality.kind!r}", _MODALITIES.names)
    try:
        SOURCES.get(spec.source.kind)
    except UnknownKind as error:
        raise _not_installed(spec, "source", f"the source {spec.source.kind!r}", SOURCES.names) from error
    except BrokenKind as error:
        raise InvalidSpec(
            f"dataset {spec.name}: {error}",
            hint="Mend or remove the distribution that adds it, then restart ingestion.",
            errors=broken("source", "a source that can be imported"),
        ) from error


def _not_installed(spec: DatasetSpec, place: str, what: str, known: tuple[str, ...]) -> InvalidSpec:
    return InvalidSpec(
        f"dataset {spec.name}: {what} is not installed in ingestion: a loop may name it, and nothing carries it out",
        hint="Install the distribution that adds it beside capstan-ingestion, in its job environment as well.",
        errors=broken(place, f"one of {', '.join(known)}"),
    )
