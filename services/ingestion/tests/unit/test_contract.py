from __future__ import annotations

from typing import Any

import pytest

from capstan_ingestion.domain.contract import ContractBroken, asks_not_null, asks_unique, read_contract


def suite(*expectations: Any) -> dict[str, Any]:
    return {"name": "trips", "expectations": list(expectations)}


def between(**kwargs: Any) -> dict[str, Any]:
    return {"type": "expect_column_values_to_be_between", "kwargs": {"column": "distance", **kwargs}}


def errors_of(document: Any) -> list[tuple[str, str]]:
    with pytest.raises(ContractBroken) as caught:
        read_contract(document)
    return caught.value.errors


def test_an_expectation_has_a_key_a_severity_and_columns() -> None:
    found = read_contract(
        suite(
            between(min_value=1) | {"severity": "warning"},
            between(max_value=9) | {"meta": {"key": "short"}},
            between(max_value=8),
            {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["a", "b"]}},
            {"type": "expect_table_columns_to_match_set", "kwargs": {"column_set": ["a"]}, "severity": "info"},
        )
    )
    assert [one.key for one in found] == [
        "distance:values-to-be-between",
        "short",
        "distance:values-to-be-between#2",
        "a,b:compound-columns-to-be-unique",
        "table-columns-to-match-set",
    ]
    assert [one.severity for one in found] == ["warning", "critical", "critical", "critical", "info"]
    assert [one.columns for one in found] == [("distance",), ("distance",), ("distance",), ("a", "b"), ()]


@pytest.mark.parametrize(
    "document", [None, [], "contract.json", 3, {}, {"name": "x"}, {"name": "", "expectations": []}]
)
def test_what_is_no_suite_is_refused(document: Any) -> None:
    assert errors_of(document)


def test_every_broken_place_is_named_with_what_was_meant() -> None:
    found = dict(
        errors_of(
            suite(
                {"type": "expect_column_values_to_be_betwen", "kwargs": {}},
                between(min_val=2),
                {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "a"}},
                between(min_value=1) | {"severity": "fatal"},
                {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": "SELECT 1"}},
                between(mostly=7),
                {"type": "expect_column_values_to_be_unique", "kwargs": {"column": ["a"]}},
                {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": "a"}},
                "expect",
            )
        )
    )
    assert "did you mean 'expect_column_values_to_be_between'?" in found["expectations[0].type"]
    assert "did you mean 'min_value'?" in found["expectations[1].kwargs.min_val"]
    assert "needs it" in found["expectations[2].kwargs.value_set"]
    assert "fatal" in found["expectations[3].severity"]
    assert "SQL" in found["expectations[4].type"]
    assert "expectations[5].kwargs.mostly" in found
    assert "expectations[6].kwargs.column" in found
    assert "expectations[7].kwargs.column_list" in found
    assert "expectations[8]" in found


def test_a_contract_that_speaks_of_keys_or_nulls_decides_about_them() -> None:
    found = read_contract(
        suite(
            {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["b", "a"]}},
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}},
        )
    )
    assert asks_unique(found, ["a", "b"]) and not asks_unique(found, ["a"])
    assert asks_not_null(found, "a") and not asks_not_null(found, "b")
