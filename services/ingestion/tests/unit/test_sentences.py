from __future__ import annotations

from typing import Any

import pytest

from capstan_ingestion.domain.contract import Expectation
from capstan_ingestion.domain.sentences import error, failure


def one(kind: str, **kwargs: Any) -> Expectation:
    return Expectation("key", f"expect_{kind}", kwargs, "critical")


@pytest.mark.parametrize(
    ("expectation", "failing", "observed", "sentence"),
    [
        (
            one("column_values_to_be_between", column="distance", min_value=17, max_value=5000),
            37,
            None,
            "distance: 37 of 24,951 rows outside [17, 5000]",
        ),
        (one("column_values_to_be_between", column="d", min_value=17), 1, None, "d: 1 of 24,951 rows below 17"),
        (
            one("column_values_to_be_between", column="d", max_value=5, strict_max=True),
            1,
            None,
            "d: 1 of 24,951 rows not below 5",
        ),
        (
            one("column_values_to_not_be_null", column="tail", mostly=0.99),
            900,
            None,
            "tail: 900 of 24,951 rows are null (at most 0.01 of them may)",
        ),
        (
            one("column_values_to_be_in_set", column="origin", value_set=["EWR", "JFK"]),
            2,
            None,
            "origin: 2 of 24,951 rows are none of EWR, JFK",
        ),
        (
            one("compound_columns_to_be_unique", column_list=["a", "b"]),
            4,
            None,
            "a, b: 4 of 24,951 rows hold a combination that another row has too",
        ),
        (
            one("column_pair_values_a_to_be_greater_than_b", column_A="a", column_B="b"),
            3,
            None,
            "a, b: 3 of 24,951 rows where a is not above b",
        ),
        (
            one("column_mean_to_be_between", column="d", min_value=1, max_value=10),
            0,
            2500.5,
            "d: mean is 2,500.5, but has to be in [1, 10]",
        ),
        (
            one("table_row_count_to_be_between", min_value=1, max_value=10),
            0,
            30000,
            "table: row count is 30,000, but has to be in [1, 10]",
        ),
        (
            one("column_values_to_be_of_type", column="d", type_="int64"),
            0,
            "object_",
            "d: values to be of type is object_, but has to be int64",
        ),
        (one("column_to_exist", column="zz"), 0, None, "zz: there is no such column"),
    ],
)
def test_a_failure_says_where_how_many_and_what_was_asked(
    expectation: Expectation, failing: int, observed: Any, sentence: str
) -> None:
    assert failure(expectation, rows=24951, failing=failing, observed=observed) == sentence


def test_columns_that_differ_are_named() -> None:
    expectation = one("table_columns_to_match_set", column_set=["a", "b"])
    details = {"mismatched": {"missing": ["b"], "unexpected": [f"c{index}" for index in range(20)]}}
    text = failure(expectation, rows=1, failing=0, observed=None, details=details)
    assert text.startswith("table: columns differ: missing b; unexpected c0, c1")
    assert text.endswith("and 12 more")


def test_an_error_is_not_called_a_failure() -> None:
    assert "could not be evaluated: boom" in error(one("column_values_to_be_unique", column="a"), "boom\nTraceback")
