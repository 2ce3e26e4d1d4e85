"""The schema of a dataset: which file may be read as it, and what may become of it."""

from __future__ import annotations

import pytest

from capstan_ingestion.domain.schema import contradictions, joined, meets, wanted_types, widens


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("null", "string"), ("int64", "int64"), ("int64", "float64"), ("int64", "string"), ("int64", "decimal(21,2)"),
        ("bool", "int64"), ("bool", "float64"), ("date", "timestamp"), ("decimal(18,2)", "decimal(20,4)"),
        ("decimal(18,2)", "float64"),
    ],
)  # fmt: skip
def test_types_that_widen_and_never_back(old: str, new: str) -> None:
    assert widens(old, new)
    assert old == new or not widens(new, old)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("string", "int64"), ("float64", "string"), ("float64", "decimal(38,2)"), ("int64", "decimal(18,2)"),
        ("timestamp", "date"), ("decimal(18,2)", "decimal(18,4)"), ("decimal(18,2)", "decimal(17,2)"),
        ("list<item: int64>", "string"), ("bool", "decimal(38,0)"),
    ],
)  # fmt: skip
def test_types_that_lose_do_not_widen(old: str, new: str) -> None:
    assert not widens(old, new)


def test_a_file_may_be_narrower_than_the_schema() -> None:
    for in_file, wanted in (
        ("int64", "float64"), ("int64", "decimal(18,2)"), ("int64", "string"), ("int64", "bool"), ("bool", "int64"),
        ("date", "timestamp"), ("null", "date"), ("float64", "bool"), ("decimal(9,2)", "decimal(18,2)"),
    ):  # fmt: skip
        assert meets(in_file, wanted), (in_file, wanted)
    for in_file, wanted in (("string", "int64"), ("timestamp", "date"), ("string", "bool"), ("float64", "timestamp")):
        assert not meets(in_file, wanted), (in_file, wanted)


def test_a_declaration_widens_the_schema_or_contradicts_it() -> None:
    held = {"n": "int64", "day": "date", "text": "string", "none": "null"}
    assert wanted_types(held, {"n": "float64", "none": "bool", "more": "date"}) == {
        "n": "float64", "day": "date", "text": "string", "none": "bool", "more": "date",
    }  # fmt: skip
    assert wanted_types(held, {"text": "int64"})["text"] == "string"
    (sentence,) = contradictions(held, {"text": "int64", "n": "decimal(19,0)", "day": "timestamp"}).values()
    assert sentence.startswith("text: is declared int64, and the dataset's files have string, which does not become")


def test_columns_join_unless_the_file_was_checked_under_another_schema() -> None:
    held = {"a": "int64", "b": "null"}

    def join(columns: dict[str, str], *required: str) -> dict[str, str] | None:
        return joined(held, columns, lambda name: name not in required)

    assert join({"a": "int64", "b": "string", "c": "bool"}) == {"a": "int64", "b": "string", "c": "bool"}
    assert list(join({"c": "bool", "a": "float64"}) or ()) == ["a", "b", "c"], "ours first, then new ones"
    assert join({"a": "float64"}) == {"a": "float64", "b": "null"}
    assert join({"a": "string"}) is not None and join({"a": "date"}) is None
    assert join({"b": "date"}, "a") is None, "another file brought a column that this one needs"
    assert join({"a": "int64", "A": "string"}) is None, "the check saw no other file yet, and SQL sees one column"
    assert join({"a": "int64", "B": "string"}) is None
