"""A dataset as callers see it."""

from __future__ import annotations

from capstan_contracts.rest.ingestion import Dataset
from capstan_ingestion.domain.schema import wanted_types
from capstan_ingestion.tables import DatasetRow, head_of, spec_of
from capstan_servicekit.db.session import ReadSession


class DescribeDataset:
    """With the figures of its newest version."""

    async def __call__(self, session: ReadSession, row: DatasetRow) -> Dataset:
        """The wire form, in the caller's session."""
        head = await head_of(session, row)
        spec = spec_of(row)
        return Dataset(
            name=row.name,
            spec=spec,
            columns=wanted_types(head.columns if head else {}, spec.columns),
            latest=row.latest,
            rows=head.rows if head else 0,
            partitions=len(head.files) if head else 0,
        )
