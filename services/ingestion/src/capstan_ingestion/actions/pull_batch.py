"""Fetch a batch from an address, through the egress client."""

from __future__ import annotations

from capstan_contracts.rest.ingestion import Batch, PullRequest
from capstan_ingestion.actions.receive_batch import ReceiveBatch, Upload
from capstan_ingestion.domain.files import endings, filename_of, form_of
from capstan_servicekit.errors import UnsupportedMedia, broken
from capstan_servicekit.security.egress import Egress


class PullBatch:
    """Streams an address into the same action as an upload."""

    def __init__(self, egress: Egress, receive: ReceiveBatch) -> None:
        self._egress, self._receive = egress, receive

    async def __call__(self, project: str, dataset: str, pull: PullRequest, key: str | None) -> Batch:
        """Fetch and receive; the address's last part tells the format."""
        filename = filename_of(pull.url)
        form = form_of(filename)
        if filename is None or form is None:
            raise UnsupportedMedia(
                "The address does not tell the format of the file",
                hint=f"Its path has to end with one of {endings()}.",
                errors=broken("url", "ends with .parquet, .csv, .jsonl, .arrow or .tar, or one of them and .gz"),
            )
        upload = Upload(project, dataset, pull.partition, filename, form, key=key, allow_duplicate=pull.allow_duplicate)
        async with self._egress.fetch(pull.url) as chunks:
            return await self._receive(upload, chunks)
