"""How a file begins: bytes of another format are named as what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.domain.file_refused import FileRefused

GZIP: Final = b"\x1f\x8b"
_OTHERS: Final = (
    (GZIP, "gzip", "give it a name that ends with .gz (trips.csv.gz)"),
    (b"PK\x03\x04", "a ZIP archive, as Excel workbooks are", "save the sheet as CSV, or send the files in a .tar"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV"),
    (b"\x28\xb5\x2f\xfd", "zstd", "decompress it, or use gzip"),
    (b"BZh", "bzip2", "decompress it, or use gzip"),
    (b"\xfd7zXZ", "xz", "decompress it, or use gzip"),
    (b"PAR1", "Parquet", "give it a name that ends with .parquet"),
    (b"ARROW1", "Arrow IPC", "give it a name that ends with .arrow"),
    (b"Obj\x01", "Avro", "write Parquet"),
    (b"ORC", "ORC", "write Parquet"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV or Parquet"),
)
_OWN: Final = {"Parquet": b"PAR1", "Arrow IPC": b"ARROW1"}


def check_begin(path: Path, wanted: str) -> bytes:
    """The first bytes of a file that is to be `wanted`; FileRefused when it is empty or begins as something else."""
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise FileRefused(Refusal("empty-file", "the file has no bytes"))
    for magic, what, remedy in _OTHERS:
        if head.startswith(magic) and magic != _OWN.get(wanted):
            rule = f"not-{wanted.lower().replace(' ', '-')}"
            raise FileRefused(Refusal(rule, f"the file is {what} and not {wanted}: {remedy}"))
    return head


def short(error: BaseException) -> str:
    """The first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
