"""Arrow IPC from outside: the file format (Feather 2) and the stream format."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.domain.file_refused import FileRefused, check_header, named, too_large
from capstan_ingestion.media.foreign_bytes import check_begin, short
from capstan_ingestion.media.port import Reading

_FILE = b"ARROW1"


class Arrow:
    """The medium `arrow`."""

    kind: ClassVar[str] = "arrow"

    def read(self, path: Path, how: Reading) -> pa.Table:
        """The whole file, but for ignored columns."""
        is_file = check_begin(path, "Arrow IPC").startswith(_FILE)
        try:
            with pa.OSFile(str(path)) as source:
                reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
                check_header(reader.schema.names, how.limits, how.ignored)
                table = pa.Table.from_batches(_batches(reader, how, is_file=is_file), reader.schema)
                # Offsets of a damaged file may point anywhere; Arrow itself looks only when asked.
                table.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            what = "was cut off or is damaged" if is_file else "is no Arrow IPC, was cut off, or is damaged"
            raise FileRefused(Refusal("corrupt-arrow", f"the file {what}; send it again: {short(error)}")) from error
        if table.num_rows == 0 and not how.may_be_empty:
            raise FileRefused(Refusal("no-rows", "the file has columns but no rows"))
        keep = [index for index, name in enumerate(table.column_names) if name not in how.ignored]
        names = named(table.column_names)
        return table.select(keep).rename_columns([names[index] for index in keep])


def _batches(
    reader: pa.ipc.RecordBatchFileReader | pa.ipc.RecordBatchStreamReader, how: Reading, *, is_file: bool
) -> list[pa.RecordBatch]:
    taken, size = [], 0
    batches = (reader.get_batch(index) for index in range(reader.num_record_batches)) if is_file else iter(reader)
    for batch in batches:
        size += batch.get_total_buffer_size()
        if size > how.limits.max_bytes:
            raise too_large(size, how.limits, more=True)
        taken.append(batch)
    return taken
