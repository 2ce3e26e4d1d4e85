"""Write files of a dataset again under wider types: a version has one type for all its files."""

from __future__ import annotations

import pyarrow.parquet as pq

from capstan_ingestion.domain.file_refused import FileRefused
from capstan_ingestion.domain.jobs import FilesToWiden, WidenedFiles
from capstan_ingestion.modalities.table.canonical import canonical, write
from capstan_servicekit.jobs.api import Job, JobRefused


def run(job: Job) -> WidenedFiles:
    """JobRefused names the partition and the column with a value that the new type does not hold."""
    given = job.read(FilesToWiden)
    made: dict[str, str] = {}
    for number, (partition, path) in enumerate(given.files.items()):
        table = pq.read_table(path)
        types = {name: type_ for name, type_ in given.columns.items() if name in table.column_names}
        try:
            widened = canonical(table, types, set())
        except FileRefused as refused:
            raise JobRefused(
                f"partition {partition!r} cannot take the declared types: {refused}",
                errors=[(f"columns.{refusal.column}", refusal.sentence) for refusal in refused.refusals],
            ) from refused
        made[partition] = f"widened-{number}.parquet"
        write(widened, job.scratch / made[partition])
    return WidenedFiles(made)
