"""What media of text have in common: the encoding, and where in a file a byte is."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.domain.file_refused import FileRefused

_BLOCK: Final = 1 << 20
_MARKS: Final = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def decoded(path: Path, encoding: str, medium: str) -> Iterator[str]:
    """The text, piece by piece; FileRefused where a byte is none in `encoding`: the sentence names line and byte."""
    with path.open("rb") as file:
        head = file.read(2)
    for mark, name in _MARKS:
        if head == mark and not encoding.startswith("utf-16"):
            raise FileRefused(Refusal("encoding", f"the file is {name}, not {encoding}; {_set(medium, name)}"))
    yield from _decoded(path, encoding, medium)


def as_utf8(path: Path, encoding: str, medium: str, target: Path) -> Path:
    """The file in UTF-8: itself, where it is, else `target`. FileRefused like `decoded`."""
    texts = decoded(path, encoding, medium)
    if encoding in {"utf-8", "ascii"}:
        for _ in texts:
            pass
        return path
    with target.open("w", encoding="utf-8", newline="") as out:
        out.writelines(texts)
    return target


def _decoded(path: Path, encoding: str, medium: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    place, line = 0, 1
    with path.open("rb") as file:
        while True:
            block = file.read(_BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                at, bad = max(0, place + error.start), error.object[error.start]
                line += error.object[: error.start].count(b"\n")
                name = "cp1252" if encoding == "utf-8" else "utf-8"
                sentence = f"line {line:,}, near byte {at:,}: {bad:#04x} is not {encoding}; {_set(medium, name)}"
                raise FileRefused(Refusal("encoding", sentence)) from error
            if "\0" in text:
                line += text[: text.index("\0")].count("\n")
                sentence = f"line {line:,}: a character is zero, so this is not {encoding} text; save it as UTF-8 text"
                raise FileRefused(Refusal(f"not-{medium}", sentence))
            if not block:
                return
            yield text
            place, line = place + len(block), line + text.count("\n")


def _set(medium: str, encoding: str) -> str:
    return f"save it as UTF-8, or set `media: {{kind: {medium}, encoding: {encoding}}}` on the dataset"
