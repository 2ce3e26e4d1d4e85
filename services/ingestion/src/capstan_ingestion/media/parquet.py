"""Parquet from outside: what is wrong with a file is found in its footer where that is possible."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.domain.file_refused import FileRefused, check_header, named, too_large
from capstan_ingestion.media.foreign_bytes import check_begin, short
from capstan_ingestion.media.port import Reading

_MAGIC = b"PAR1"


class Parquet:
    """The medium `parquet`."""

    kind: ClassVar[str] = "parquet"

    def read(self, path: Path, how: Reading) -> pa.Table:
        """The whole file, but for ignored columns."""
        _check_ends(path)
        try:
            file = pq.ParquetFile(path, page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise FileRefused(Refusal("corrupt-parquet", f"the footer cannot be read: {short(error)}")) from error
        names = file.schema_arrow.names
        check_header(names, how.limits, how.ignored)
        metadata = file.metadata
        if metadata.num_rows == 0 and not how.may_be_empty:
            raise FileRefused(Refusal("no-rows", "the file has columns but no rows"))
        size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
        if size > how.limits.max_bytes:
            raise too_large(size, how.limits)
        kept = [name for name in names if name not in how.ignored]
        try:
            # Without a list of columns where all are read: a list takes `a.b` for the field b of a.
            table = file.read() if len(kept) == len(names) else file.read(columns=kept).select(kept)
        except (pa.ArrowException, OSError) as error:
            raise FileRefused(Refusal("corrupt-parquet", f"a page cannot be read: {short(error)}")) from error
        return table.rename_columns(named(table.column_names))


def _check_ends(path: Path) -> None:
    head = check_begin(path, "Parquet")
    if not head.startswith(_MAGIC):
        sentence = f"the file does not begin with PAR1 but with {head[:4]!r}, so it is not Parquet"
        hint = "; send CSV with content type text/csv or a name that ends with .csv" if head[:4].isascii() else ""
        raise FileRefused(Refusal("not-parquet", sentence + hint))
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - len(_MAGIC)))
        tail = file.read()
    if tail != _MAGIC or size < 12:
        sentence = f"the file ends after {size:,} bytes without its footer: it was cut off; send it again"
        raise FileRefused(Refusal("truncated", sentence))
