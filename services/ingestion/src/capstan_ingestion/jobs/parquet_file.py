"""Read a Parquet file from outside: what is wrong with it is found in its footer where that is possible."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.jobs.file_refused import FileRefused, Limits, check_header

_MAGIC = b"PAR1"


def read_parquet(path: Path, limits: Limits) -> pa.Table:
    """The whole file; FileRefused when it is no Parquet, cut off, too large, or its header breaks a rule."""
    _check_ends(path)
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise FileRefused(Refusal("corrupt-parquet", f"the footer cannot be read: {_short(error)}")) from error
    check_header(file.schema_arrow.names, limits)
    metadata = file.metadata
    if metadata.num_rows == 0:
        raise FileRefused(Refusal("no-rows", "the file has columns but no rows"))
    size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if size > limits.max_bytes:
        sentence = f"decompressed it holds {size:,} bytes; at most {limits.max_bytes:,} are taken; send smaller parts"
        raise FileRefused(Refusal("too-large", sentence))
    try:
        return file.read()
    except (pa.ArrowException, OSError) as error:
        raise FileRefused(Refusal("corrupt-parquet", f"a page cannot be read: {_short(error)}")) from error


def _check_ends(path: Path) -> None:
    size = path.stat().st_size
    if size == 0:
        raise FileRefused(Refusal("empty-file", "the file has no bytes"))
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
        file.seek(max(0, size - len(_MAGIC)))
        tail = file.read()
    if head != _MAGIC:
        sentence = f"the file does not begin with PAR1 but with {head!r}, so it is not Parquet"
        hint = "; send CSV with content type text/csv or a name that ends with .csv" if head.isascii() else ""
        raise FileRefused(Refusal("not-parquet", sentence + hint))
    if tail != _MAGIC or size < 12:
        sentence = f"the file ends after {size:,} bytes without its footer: it was cut off; send it again"
        raise FileRefused(Refusal("truncated", sentence))


def _short(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
