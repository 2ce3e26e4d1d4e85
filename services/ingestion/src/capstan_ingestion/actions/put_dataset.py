"""Register one dataset, without a loop."""

from __future__ import annotations

from capstan_contracts.loop import DatasetSpec
from capstan_contracts.rest.ingestion import Dataset
from capstan_ingestion.actions.describe_dataset import DescribeDataset
from capstan_ingestion.actions.register_dataset import RegisterDataset
from capstan_servicekit.db.session import Database
from capstan_servicekit.errors import Invalid, broken


class PutDataset:
    """`PUT /datasets/{dataset}`."""

    def __init__(self, database: Database, register: RegisterDataset, describe: DescribeDataset) -> None:
        self._database, self._register, self._describe = database, register, describe

    async def __call__(self, project: str, name: str, spec: DatasetSpec) -> Dataset:
        """The dataset as it is from now on. Invalid, InvalidSpec, NotBuiltYet."""
        if spec.name != name:
            raise Invalid(f"The body is dataset {spec.name!r}", errors=broken("name", "the name in the path"))
        self._register.check(spec)
        async with self._database.write() as session:
            return await self._describe(session, await self._register(session, project, spec))
