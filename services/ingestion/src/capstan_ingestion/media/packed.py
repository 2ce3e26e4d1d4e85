"""What files come packed in: gzip, and a tar of part files (Spark's folder), which is one batch."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow as pa

from capstan_contracts.kinds.family import BrokenKind, UnknownKind
from capstan_contracts.kinds.media import ParquetMedium
from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.domain.file_refused import FileRefused, Limits, too_large
from capstan_ingestion.domain.files import TAR, Form, endings, form_of
from capstan_ingestion.media.foreign_bytes import GZIP, short
from capstan_ingestion.media.port import MEDIA, Reading, unreadable
from capstan_ingestion.media.values import utc

MAX_PARTS: Final = 10_000
_BLOCK: Final = 1 << 20
_SUCCESS: Final = "_SUCCESS"


@dataclass(frozen=True)
class Part:
    """A file of a folder: its name in there, where it was unpacked to, and its form."""

    name: str
    path: Path
    form: Form


def read_file(path: Path, form: Form, how: Callable[[str], Reading], scratch: Path) -> pa.Table:
    """The rows of a file of any form. `how` gives the reading for a medium; unpacked files lie in `scratch`.

    FileRefused; sentences about a part file begin with its name. Rows of a folder are in the order of its files' names.
    """
    if form.medium == TAR:
        limits = how(ParquetMedium().kind).limits
        path = unpack(path, scratch / "unpacked", limits) if form.gzip else path
        return _folder(list(_parts(path, scratch, limits)), how, scratch)
    reading = how(form.medium)
    path = unpack(path, scratch / "unpacked", reading.limits) if form.gzip else path
    return _read(path, form.medium, reading)


def _read(path: Path, medium: str, how: Reading) -> pa.Table:
    """The rows, with every timestamp in UTC: those without a zone are wall times in the medium's zone."""
    try:
        reader = MEDIA.get(medium)()
    except (UnknownKind, BrokenKind) as error:
        raise unreadable(error) from error
    table = reader.read(path, how)
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            try:
                table = table.set_column(index, field.name, utc(table.column(index), how.spec.zone))
            except pa.ArrowInvalid as error:
                text = f"{field.name}: a time does not exist in {how.spec.zone}: {short(error)}; is the zone right?"
                raise FileRefused(Refusal("no-such-time", text, field.name)) from error
    return table


def unpack(path: Path, target: Path, limits: Limits) -> Path:
    """The decompressed file; FileRefused when it is no gzip, is cut off, or holds more than is taken."""
    with path.open("rb") as raw:
        head = raw.read(2)
    if head != GZIP:
        sentence = f"the file is named as gzip and begins with {head!r}; send it without .gz, or compress it"
        raise FileRefused(Refusal("not-gzip", sentence))
    size = 0
    try:
        with gzip.open(path, "rb") as source, target.open("wb") as out:
            while block := source.read(_BLOCK):
                size += len(block)
                if size > limits.max_bytes:
                    raise too_large(limits.max_bytes, limits, more=True)
                out.write(block)
    except EOFError as error:
        sentence = f"the gzip stream was cut off ({size:,} bytes of it can be read); send it again"
        raise FileRefused(Refusal("truncated", sentence)) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        sentence = f"the gzip stream is damaged ({size:,} bytes of it can be read): {error}; send it again"
        raise FileRefused(Refusal("corrupt-gzip", sentence)) from error
    return target


def _parts(path: Path, scratch: Path, limits: Limits) -> Iterator[Part]:
    folder = scratch / "parts"
    folder.mkdir()
    extracted: list[tuple[str, int, Path]] = []
    size, marked = 0, False
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                marked = marked or name == _SUCCESS
                if member.isdir() or name.startswith(("_", ".")):
                    continue  # markers and checksums of Spark and Hadoop, resource forks of macOS
                if not member.isfile():
                    sentence = f"{member.name[:80]}: is a link or a device; send files"
                    raise FileRefused(Refusal("not-a-file", sentence))
                size += member.size
                if size > limits.max_bytes:
                    raise too_large(size, limits, more=True)
                if len(extracted) == MAX_PARTS:
                    raise FileRefused(Refusal("too-many-parts", f"at most {MAX_PARTS:,} files are taken as one batch"))
                target = folder / f"{len(extracted):06d}"
                _extract(tar, member, target)
                extracted.append((member.name, member.size, target))
    except (tarfile.TarError, EOFError) as error:
        sentence = f"the tar archive cannot be read (cut off, or no tar): {error}; make it again with `tar cf`"
        raise FileRefused(Refusal("corrupt-tar", sentence)) from error
    for name, length, target in sorted(extracted):
        if length or not marked:  # a partition without rows is an empty file, when Spark says that it finished
            yield Part(name, target, _form(name))


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    if source is None:
        raise tarfile.TarError(f"{member.name} has no content")
    with source, target.open("wb") as out:
        left = member.size
        while block := source.read(_BLOCK):
            left -= len(block)
            out.write(block)
    if left:
        raise EOFError(f"{member.name} ends {left:,} bytes too early")


def _form(name: str) -> Form:
    form = form_of(name)
    if form is None or form.medium == TAR:
        sentence = f"{name[:80]}: its ending tells no medium; known are {endings()}"
        raise FileRefused(Refusal("unknown-medium", sentence))
    return form


def _folder(parts: list[Part], how: Callable[[str], Reading], scratch: Path) -> pa.Table:
    media = sorted({part.form.medium for part in parts})
    if not parts:
        raise FileRefused(Refusal("no-rows", "the archive holds no file with rows"))
    if len(media) > 1:
        raise FileRefused(Refusal("mixed-media", f"the files are {' and '.join(media)}; send one batch of each"))
    left = how(media[0]).limits.max_bytes
    tables: list[pa.Table] = []
    for index, part in enumerate(parts):
        reading = replace(how(media[0]), may_be_empty=True, limits=replace(how(media[0]).limits, max_bytes=left))
        try:
            table = _part(part, reading, scratch / f"unpacked-{index}")
        except FileRefused as refused:
            in_part = [replace(refusal, sentence=f"{part.name}: {refusal.sentence}") for refusal in refused.refusals]
            raise FileRefused(*in_part) from refused
        left -= table.nbytes
        if left < 0:
            raise too_large(how(media[0]).limits.max_bytes, how(media[0]).limits, more=True)
        tables.append(table)
    return _joined(parts, tables)


def _part(part: Part, reading: Reading, target: Path) -> pa.Table:
    path = unpack(part.path, target, reading.limits) if part.form.gzip else part.path
    try:
        return _read(path, part.form.medium, reading)
    finally:
        target.unlink(missing_ok=True)
        part.path.unlink(missing_ok=True)


def _joined(parts: list[Part], tables: list[pa.Table]) -> pa.Table:
    first = tables[0].column_names
    for part, table in zip(parts, tables, strict=True):
        differs = sorted(set(table.column_names) ^ set(first))
        if differs:
            sentence = (
                f"{part.name}: column {differs[0]!r} is not in every file; files of one batch have the same columns"
            )
            raise FileRefused(Refusal("part-columns", sentence, differs[0]))
    filled = [table for table in tables if table.num_rows] or tables[:1]
    if not any(table.num_rows for table in tables):
        raise FileRefused(Refusal("no-rows", "the files have columns but no rows"))
    try:
        # An integer in one file and a float in another are floats; a column without values has the others' type.
        return pa.concat_tables([table.select(first) for table in filled], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise FileRefused(_disagree(parts, tables)) from error


def _disagree(parts: list[Part], tables: list[pa.Table]) -> Refusal:
    for name in tables[0].column_names:
        types = {str(table[name].type): part.name for part, table in zip(parts, tables, strict=True)}
        if len(types) > 1:
            types_by_file = " and ".join(f"{type_} in {file}" for type_, file in types.items())
            return Refusal(
                "part-types", f"{name}: is {types_by_file}; declare its type under `columns` of the dataset", name
            )
    return Refusal("part-types", "the files' columns have different types; declare them under `columns` of the dataset")
