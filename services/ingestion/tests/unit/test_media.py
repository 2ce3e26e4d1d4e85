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
from pydantic import ValidationError

from capstan_contracts.kinds import media as specs
from capstan_contracts.loop import DatasetSpec
from capstan_ingestion.actions.register_dataset import RegisterDataset
from capstan_ingestion.domain.file_refused import FileRefused, Limits
from capstan_ingestion.domain.files import Form, form_of
from capstan_ingestion.media.packed import read_file
from capstan_ingestion.media.port import MEDIA, Reading
from capstan_ingestion.modalities.table.columns import medium_spec
from capstan_servicekit.clock import SystemClock
from capstan_servicekit.errors import InvalidSpec
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
FOREIGN_SPEC = """
from typing import ClassVar, Literal
from capstan_contracts.kinds.media import Medium

class PairsMedium(Medium):
    ENDINGS: ClassVar = ("pairs",)
    kind: Literal["pairs"] = "pairs"
    upper: bool = False
"""
FOREIGN = """
from capstan_ingestion.domain.columns import Refusal
from capstan_ingestion.domain.file_refused import FileRefused, check_header
import pyarrow as pa

class Pairs:
    kind = "pairs"

    def read(self, path, how):
        lines = path.read_text().splitlines()
        if how.spec.upper:
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
        reading = Reading(
            specs.MEDIUM_KINDS.parse(medium.kind),
            Limits(max_columns, max_bytes),
            types or {},
            frozenset(ignored),
            may_be_empty,
        )
        return MEDIA.get(medium.kind)().read(path, reading)

    return read_bytes


def test_the_schema_and_the_implementations_name_the_same_media() -> None:
    assert MEDIA.names == specs.MEDIUM_SPECS.names == tuple(sorted(CASES))
    assert MEDIA.broken() == specs.MEDIUM_SPECS.broken() == []
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
    with pytest.raises(FileRefused, match="no kind 'pairs'.*install it beside capstan-ingestion"):
        read_any(b"a=1 b=2\n", "pairs", folder, make_dataset)
    install_distribution(
        tmp_path, monkeypatch, name="acme", modules={"acme_pairs": FOREIGN, "acme_pairs_spec": FOREIGN_SPEC},
        entry_points={specs.GROUP: {"pairs": "acme_pairs:Pairs"}, "capstan.specs.media": {
            "pairs": "acme_pairs_spec:PairsMedium"}},
        families=(MEDIA, specs.MEDIUM_SPECS),
    )  # fmt: skip
    assert form_of("january.pairs.gz") == Form("pairs", gzip=True)
    assert read_any(b"a=1 b=x\n", "pairs", folder, make_dataset).to_pylist() == [{"a": "1", "b": "x"}]
    upper = {"kind": "pairs", "upper": True}
    assert read_any(b"a=1 b=x\n", "pairs", folder, make_dataset, media=upper).to_pylist() == [{"A": "1", "B": "X"}]
    with pytest.raises(ValidationError, match="'uper' is no field of a medium of kind 'pairs'; did you mean 'upper'"):
        make_dataset(media={"kind": "pairs", "uper": True})
    with pytest.raises(FileRefused, match="no pairs"):
        read_any(b"", "pairs", folder, make_dataset)


def test_a_spec_without_a_reader_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_dataset: Callable[..., DatasetSpec]
) -> None:
    install_distribution(
        tmp_path, monkeypatch, name="half", modules={"half_medium": FOREIGN_SPEC},
        entry_points={"capstan.specs.media": {"pairs": "half_medium:PairsMedium"}}, families=(specs.MEDIUM_SPECS,),
    )  # fmt: skip
    with pytest.raises(FileRefused, match="no kind 'pairs'.*install it beside capstan-ingestion"):
        read_any(b"a=1\n", "pairs", tmp_path, make_dataset)
    with pytest.raises(InvalidSpec, match="the medium 'pairs' is not installed"):
        RegisterDataset(SystemClock()).check(make_dataset(media="pairs"))
