"""What a report cannot draw it names with the reason, and text of the data stays text."""

from __future__ import annotations

import math
from typing import Any

import pytest

from capstan_monitoring.jobs.report_columns import section, why_not

USUAL = [float(number % 17) for number in range(300)]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1e16] * 300, "no room for 10 cells in the window"),
        ([1e16 + 2 * (number % 2) for number in range(300)], "no room for 10 cells in the window"),
        ([float(2**60 + number) for number in range(300)], "no room for 10 cells in the window"),
        ([2**60 + number for number in range(300)], "no room for 10 cells in the window"),
        ([1e308, -1e308] * 150, "span more than a number can hold in the window"),
        ([1.0, math.inf, -math.inf] * 100, "200 of its values are infinite in the window"),
        ([None, math.nan] * 150, "it has no value in the window"),
        ([], "it has no value in the window"),
        (None, "it has no value in the window"),
        ([5.0] * 300, None),
        ([None] * 299 + [1.0], None),
        ([0.0] * 300, None),
        ([5e-324] * 300, None),
        ([True, False] * 150, None),
        ([float(2**60 + number * 10_000) for number in range(300)], None),
    ],
)
def test_odd_numbers(values: Any, reason: str | None) -> None:
    found = why_not(values, USUAL, numeric=True)
    assert found is None if reason is None else reason in (found or "")
    other = why_not(USUAL, values, numeric=True)
    assert other is None if reason is None else reason.replace("the window", "the training set") in (other or "")


def test_both_sides_together_may_span_too_much() -> None:
    assert "span more" in (why_not([1e308, 9e307] * 9, [-1e308, -9e307] * 9, numeric=True) or "")


def test_words_are_drawn_when_there_are_any() -> None:
    assert why_not(["a", None], ["b"], numeric=False) is None
    assert why_not([None], ["b"], numeric=False) == "it has no value in the window"


def test_the_page_says_why_and_what_is_known() -> None:
    page = section({"<i>&": "it is odd"}, {"<i>&": [1.0, None, 3.0]}, {})
    assert "&lt;i&gt;&amp;" in page and "<i>" not in page and "it is odd" in page
    assert "3 rows, 1 without a value, 2 distinct, 1.0 to 3.0" in page and "0 rows" in page
