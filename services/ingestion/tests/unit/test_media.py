"""Every medium, ours and a foreign one, under one suite."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from capstan_contracts.kinds import media as specs
from capstan_contracts.loop import DatasetSpec
from capstan_ingestion.domain.file_refused import FileRefused, Limits
from capstan_ingestion.domain.files import Form
from capstan_ingestion.media.packed import read_file
from capstan_ingestion.media.port import MEDIA, Reading
from capstan_ingestion.modalities.table.columns import medium_spec
from capstan_testkit.distributions import install_distribution
from capstan_testkit.suites.media import MediumBehaviour, MediumCase, Read


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def csv(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pacsv.write_csv(table, sink)
    return sink.getvalue()


def jsonlines(table: pa.Table) -> bytes:
    lines = (json.dumps(row, default=lambda at: at.isoformat(), ensure_ascii=False) for row in table.to_pylist())
    return "".join(f"{line}\n" for line in lines).encode()


CASES = {
    "arrow": MediumCase("arrow", arrow, FileRefused),
    "csv": MediumCase("csv", csv, FileRefused, text=True),
    "jsonlines": MediumCase("jsonlines", jsonlines, FileRefused, text=True, header=False, repeats_names=False),
    "parquet": MediumCase("parquet", parquet, FileRefused),
}
FOREIGN = """
from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.domain.file_refused import FileRefused, check_header
import pyarrow as pa

class Pairs:
    kind = "acme.pairs"

    def read(self, path, how):
        lines = path.read_text().splitlines()
        if how.spec.settings.get("upper"):
            lines = [line.upper() for line in lines]
        rows = [dict(pair.split("=") for pair in line.split()) for line in lines]
        if not rows:
            raise FileRefused(Refusal("empty-file", "the file has no pairs"))
        return pa.Table.from_pylist(rows)
"""


@pytest.fixture
def read(medium: MediumCase, tmp_path: Path) -> Read:
    count = itertools.count()

    def read_bytes(
        content: bytes,
        *,
        types: dict[str, str] | None = None,
        ignored: Sequence[str] = (),
        may_be_empty: bool = False,
        max_bytes: int = 1 << 24,
        max_columns: int = 100,
    ) -> pa.Table:
        path = tmp_path / f"file{next(count)}"
        path.write_bytes(content)
        spec = next(one() for one in specs.SPECS if one.model_fields["kind"].default == medium.kind)
        reading = Reading(spec, Limits(max_columns, max_bytes), types or {}, frozenset(ignored), may_be_empty)
        return MEDIA.get(medium.kind)().read(path, reading)

    return read_bytes


def test_the_schema_and_the_implementations_name_the_same_media() -> None:
    assert set(MEDIA.names) == set(specs.KINDS) == set(CASES)
    assert MEDIA.broken() == []
    assert [MEDIA.get(name).kind for name in MEDIA.names] == list(MEDIA.names)


class TestMedia(MediumBehaviour):
    @pytest.fixture(params=sorted(CASES))
    def medium(self, request: pytest.FixtureRequest) -> MediumCase:
        return CASES[request.param]


def read_any(
    content: bytes, form: str, folder: Path, dataset: Callable[..., DatasetSpec], **changes: object
) -> pa.Table:
    path = folder / "file"
    path.write_bytes(content)
    spec = dataset(**changes)

    def how(kind: str) -> Reading:
        return Reading(medium_spec(spec, kind), Limits(100, 1 << 20), {})

    return read_file(path, Form.parse(form), how, folder)


def test_a_foreign_medium_is_installed_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_dataset: Callable[..., DatasetSpec]
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    with pytest.raises(FileRefused, match="no kind 'acme.pairs'.*install it beside capstan-ingestion"):
        read_any(b"a=1 b=2\n", "acme.pairs", folder, make_dataset)
    entries = {specs.GROUP: {"acme.pairs": "acme_pairs:Pairs"}}
    install_distribution(tmp_path, monkeypatch, name="acme", modules={"acme_pairs": FOREIGN}, entry_points=entries)
    monkeypatch.delattr(MEDIA, "_entries", raising=False)
    settings = {"kind": "acme.pairs", "settings": {"upper": True}}
    table = read_any(b"a=1 b=x\n", "acme.pairs", folder, make_dataset, media=settings)
    assert table.to_pylist() == [{"A": "1", "B": "X"}]
    with pytest.raises(FileRefused, match="no pairs"):
        read_any(b"", "acme.pairs", folder, make_dataset)
