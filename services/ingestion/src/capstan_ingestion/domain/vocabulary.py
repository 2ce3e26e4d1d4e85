"""The expectations of Great Expectations 1.24 that work on a table in memory, with their arguments.

So a misspelt contract is refused when it is registered; Great Expectations itself would drop an expectation that it
does not know. A test compares this table with the installed package.
"""

from __future__ import annotations

from typing import Final

_FILTER = ("row_condition", "condition_parser")
_BOUNDS = ("min_value", "max_value", "strict_min", "strict_max")

ALWAYS: Final = ("result_format", "catch_exceptions", "library_metadata")
"""Arguments that every expectation takes; they do not change what is expected."""

ELSEWHERE: Final = (
    "expect_query_results_to_match_comparison",
    "expect_table_row_count_to_equal_other_table",
    "unexpected_rows_expectation",
)
"""Expectations that need a SQL database, so no file can be held against them."""

ARGUMENTS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "expect_column_distinct_values_to_be_in_set": (("column", "value_set"), _FILTER),
    "expect_column_distinct_values_to_contain_set": (("column", "value_set"), _FILTER),
    "expect_column_distinct_values_to_equal_set": (("column", "value_set"), _FILTER),
    "expect_column_kl_divergence_to_be_less_than": (
        ("column",),
        (
            *_FILTER,
            "partition_object",
            "threshold",
            "internal_weight_holdout",
            "tail_weight_holdout",
            "bucketize_data",
            "min_value",
            "max_value",
        ),
    ),
    "expect_column_max_to_be_between": (("column",), (*_FILTER, *_BOUNDS)),
    "expect_column_mean_to_be_between": (("column",), (*_FILTER, *_BOUNDS)),
    "expect_column_median_to_be_between": (("column",), (*_FILTER, *_BOUNDS)),
    "expect_column_min_to_be_between": (("column",), (*_FILTER, *_BOUNDS)),
    "expect_column_most_common_value_to_be_in_set": (("column", "value_set"), (*_FILTER, "ties_okay")),
    "expect_column_pair_values_a_to_be_greater_than_b": (
        ("column_A", "column_B"),
        (*_FILTER, "mostly", "or_equal", "ignore_row_if"),
    ),
    "expect_column_pair_values_to_be_equal": (("column_A", "column_B"), (*_FILTER, "mostly", "ignore_row_if")),
    "expect_column_pair_values_to_be_in_set": (
        ("column_A", "column_B", "value_pairs_set"),
        (*_FILTER, "mostly", "ignore_row_if"),
    ),
    "expect_column_proportion_of_non_null_values_to_be_between": (("column",), (*_FILTER, *_BOUNDS)),
    "expect_column_proportion_of_unique_values_to_be_between": (("column",), (*_FILTER, *_BOUNDS)),
    "expect_column_quantile_values_to_be_between": (("column", "quantile_ranges"), (*_FILTER, "allow_relative_error")),
    "expect_column_stdev_to_be_between": (("column",), (*_FILTER, *_BOUNDS)),
    "expect_column_sum_to_be_between": (("column",), (*_FILTER, *_BOUNDS)),
    "expect_column_to_exist": (("column",), ("column_index",)),
    "expect_column_type_to_be": (("column", "type_"), ()),
    "expect_column_unique_value_count_to_be_between": (("column",), (*_FILTER, *_BOUNDS)),
    "expect_column_value_lengths_to_be_between": (("column",), (*_FILTER, *_BOUNDS, "mostly")),
    "expect_column_value_lengths_to_equal": (("column", "value"), (*_FILTER, "mostly")),
    "expect_column_value_z_scores_to_be_less_than": (("column", "threshold", "double_sided"), (*_FILTER, "mostly")),
    "expect_column_values_to_be_between": (("column",), (*_FILTER, *_BOUNDS, "mostly")),
    "expect_column_values_to_be_dateutil_parseable": (("column",), (*_FILTER, "mostly")),
    "expect_column_values_to_be_decreasing": (("column",), (*_FILTER, "mostly", "strictly")),
    "expect_column_values_to_be_in_set": (("column", "value_set"), (*_FILTER, "mostly")),
    "expect_column_values_to_be_in_type_list": (("column",), (*_FILTER, "mostly", "type_list")),
    "expect_column_values_to_be_increasing": (("column",), (*_FILTER, "mostly", "strictly")),
    "expect_column_values_to_be_json_parseable": (("column",), (*_FILTER, "mostly")),
    "expect_column_values_to_be_null": (("column",), (*_FILTER, "mostly")),
    "expect_column_values_to_be_of_type": (("column", "type_"), (*_FILTER, "mostly")),
    "expect_column_values_to_be_unique": (("column",), (*_FILTER, "mostly")),
    "expect_column_values_to_match_json_schema": (("column", "json_schema"), (*_FILTER, "mostly")),
    "expect_column_values_to_match_like_pattern": (("column", "like_pattern"), (*_FILTER, "mostly", "escape")),
    "expect_column_values_to_match_like_pattern_list": (
        ("column", "like_pattern_list"),
        (*_FILTER, "mostly", "match_on", "escape"),
    ),
    "expect_column_values_to_match_regex": (("column",), (*_FILTER, "mostly", "regex")),
    "expect_column_values_to_match_regex_list": (("column", "regex_list"), (*_FILTER, "mostly", "match_on")),
    "expect_column_values_to_match_strftime_format": (("column", "strftime_format"), (*_FILTER, "mostly")),
    "expect_column_values_to_not_be_in_set": (("column", "value_set"), (*_FILTER, "mostly")),
    "expect_column_values_to_not_be_null": (("column",), (*_FILTER, "mostly")),
    "expect_column_values_to_not_be_outliers": (("column",), (*_FILTER, "mostly", "method", "multiplier")),
    "expect_column_values_to_not_match_like_pattern": (("column", "like_pattern"), (*_FILTER, "mostly", "escape")),
    "expect_column_values_to_not_match_like_pattern_list": (
        ("column", "like_pattern_list"),
        (*_FILTER, "mostly", "escape"),
    ),
    "expect_column_values_to_not_match_regex": (("column", "regex"), (*_FILTER, "mostly")),
    "expect_column_values_to_not_match_regex_list": (("column", "regex_list"), (*_FILTER, "mostly")),
    "expect_compound_columns_to_be_unique": (("column_list",), (*_FILTER, "mostly", "ignore_row_if")),
    "expect_multicolumn_sum_to_equal": (("column_list", "sum_total"), (*_FILTER, "mostly", "ignore_row_if")),
    "expect_multicolumn_values_to_be_equal": (("column_list",), (*_FILTER, "mostly", "ignore_row_if")),
    "expect_select_column_values_to_be_unique_within_record": (("column_list",), (*_FILTER, "mostly", "ignore_row_if")),
    "expect_table_column_count_to_be_between": ((), ("min_value", "max_value")),
    "expect_table_column_count_to_equal": (("value",), ()),
    "expect_table_columns_to_match_ordered_list": ((), ("column_list",)),
    "expect_table_columns_to_match_set": ((), ("column_set", "exact_match")),
    "expect_table_row_count_to_be_between": ((), (*_FILTER, *_BOUNDS)),
    "expect_table_row_count_to_equal": (("value",), _FILTER),
}
"""Expectation -> (required arguments, optional arguments)."""
