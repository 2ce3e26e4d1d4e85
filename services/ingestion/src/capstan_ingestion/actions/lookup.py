"""Find rows by the names that callers use; what another project has is not found."""

from __future__ import annotations

from sqlalchemy import select

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import Manifest
from capstan_ingestion.tables import BatchRow, DatasetRow, VersionRow
from capstan_servicekit.db.session import ReadSession
from capstan_servicekit.errors import Conflict, NotFound


async def dataset_row(session: ReadSession, project: str, name: str) -> DatasetRow:
    """The dataset; NotFound."""
    row = await session.get(DatasetRow, (project, name))
    if row is None:
        raise NotFound(
            f"There is no dataset {name!r} in project {project!r}",
            hint="Register it with PUT /datasets/{dataset}, or apply a loop that names it.",
        )
    return row


def spec_of(row: DatasetRow) -> DatasetSpec:
    """The dataset as it was registered."""
    return DatasetSpec.model_validate(row.spec)


async def head_of(session: ReadSession, row: DatasetRow) -> Manifest | None:
    """The manifest of the newest version; None before the first commit."""
    if row.latest is None:
        return None
    version = await session.get(VersionRow, (row.project, row.name, row.latest))
    return None if version is None else Manifest.model_validate(version.manifest)


async def batch_row(session: ReadSession, project: str, digest: str, *, alone: bool = False) -> BatchRow:
    """The batch with this digest (12 or more of its characters); NotFound.

    The same bytes may have been sent to several places; the newest is meant. `alone`: Conflict where there are more.
    """
    query = select(BatchRow).where(BatchRow.project == project, BatchRow.digest.startswith(digest))
    rows = list((await session.scalars(query.order_by(BatchRow.id.desc()).limit(100))).all())
    if not rows:
        raise NotFound(f"There is no batch {digest[:12]} in project {project!r}")
    if len({row.digest for row in rows}) > 1:
        raise NotFound(f"{digest} begins the names of several batches", hint="Give more characters.")
    if alone and len(rows) > 1:
        places = ", ".join(f"{row.dataset}/{row.partition}" for row in rows)
        raise Conflict(
            f"Batch {digest[:12]} was sent to several places: {places}", hint="Send the file to the one you mean."
        )
    return rows[0]


async def version_row(session: ReadSession, project: str, dataset: str, version: str) -> VersionRow:
    """The version with this name (12 or more of its characters); NotFound."""
    await dataset_row(session, project, dataset)
    query = select(VersionRow).where(
        VersionRow.project == project, VersionRow.dataset == dataset, VersionRow.version.startswith(version)
    )
    rows = list((await session.scalars(query.limit(2))).all())
    if not rows:
        raise NotFound(f"Dataset {dataset!r} has no version {version[:12]}")
    if len(rows) > 1:
        raise NotFound(f"{version} begins the names of several versions of {dataset!r}", hint="Give more characters.")
    return rows[0]
