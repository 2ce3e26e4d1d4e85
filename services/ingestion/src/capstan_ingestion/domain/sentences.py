"""What a failed expectation means, as one sentence: where, how many rows, and what was asked for."""

from __future__ import annotations

from collections.abc import Callable

from capstan_ingestion.domain.contract import Arguments, Expectation

_SHOWN = 8


def failure(expectation: Expectation, *, rows: int, failing: int, observed: object, details: object = None) -> str:
    """Say how a batch of `rows` rows broke an expectation; `failing` is 0 where it is about no single rows."""
    subject = ", ".join(expectation.columns) or "table"
    if failing:
        phrase = _BY_ROW.get(expectation.type, _other)(expectation.kwargs, expectation.type)
        return f"{subject}: {failing:,} of {rows:,} rows {phrase}{_mostly(expectation.kwargs)}"
    if expectation.type == "expect_column_to_exist":
        return f"{subject}: there is no such column{_position(expectation.kwargs)}"
    if expectation.type.startswith("expect_table_columns_"):
        return f"table: {_columns(expectation.kwargs, details)}"
    what = expectation.type.removeprefix("expect_table_").removeprefix("expect_column_").removeprefix("expect_")
    for ending in ("_to_be_between", "_to_equal", "_to_be_in_set", "_to_equal_set", "_to_contain_set", "_to_be"):
        if what.endswith(ending):
            what = what.removesuffix(ending)
            break
    shown = "not known" if observed is None else show(observed)
    return f"{subject}: {what.replace('_', ' ')} is {shown}, but has to be {_wanted(expectation.kwargs)}"


def error(expectation: Expectation, message: str, remedy: str = "") -> str:
    """Say that an expectation could not be evaluated, neither passed nor failed, and what to write instead."""
    first = message.strip().splitlines()[0][:300] if message.strip() else "no reason given"
    explained = f"{remedy} (the engine says: {first})" if remedy else first
    return f"{', '.join(expectation.columns) or 'table'}: {expectation.type} could not be evaluated: {explained}"


def show(value: object) -> str:
    """A value or a few values, short enough for a sentence."""
    if isinstance(value, list | tuple | set):
        items = [str(item) for item in value]
        more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
        return ", ".join(items[:_SHOWN]) + more
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)[:200]
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def interval(kwargs: Arguments) -> str:
    """Bounds as an interval, `[17, 5000]`; a strict bound is written with a round bracket."""
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    left = "(" if kwargs.get("strict_min") or low is None else "["
    right = ")" if kwargs.get("strict_max") or high is None else "]"
    return f"{left}{'-inf' if low is None else low}, {'inf' if high is None else high}{right}"


def _outside(kwargs: Arguments, _: str) -> str:
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if high is None:
        return f"{'not above' if kwargs.get('strict_min') else 'below'} {low}"
    if low is None:
        return f"{'not below' if kwargs.get('strict_max') else 'above'} {high}"
    return f"outside {interval(kwargs)}"


def _other(_: Arguments, kind: str) -> str:
    return f"break {kind.removeprefix('expect_').replace('_', ' ')}"


def _says(text: str) -> Callable[[Arguments, str], str]:
    return lambda kwargs, kind: text


def _with(text: str, argument: str) -> Callable[[Arguments, str], str]:
    return lambda kwargs, kind: f"{text} {show(kwargs.get(argument))}"


_BY_ROW: dict[str, Callable[[Arguments, str], str]] = {
    "expect_column_values_to_be_between": _outside,
    "expect_column_values_to_not_be_null": _says("are null"),
    "expect_column_values_to_be_null": _says("are not null"),
    "expect_column_values_to_be_in_set": _with("are none of", "value_set"),
    "expect_column_values_to_not_be_in_set": _with("are one of", "value_set"),
    "expect_column_values_to_be_unique": _says("hold a value that another row has too"),
    "expect_compound_columns_to_be_unique": _says("hold a combination that another row has too"),
    "expect_select_column_values_to_be_unique_within_record": _says("hold the same value in two of the columns"),
    "expect_column_values_to_match_regex": _with("do not match", "regex"),
    "expect_column_values_to_not_match_regex": _with("match", "regex"),
    "expect_column_value_lengths_to_be_between": lambda k, _: f"have a length outside {interval(k)}",
    "expect_column_value_lengths_to_equal": _with("have a length other than", "value"),
    "expect_column_values_to_be_of_type": _with("are not of type", "type_"),
    "expect_column_values_to_be_in_type_list": _with("are of none of the types", "type_list"),
    "expect_column_values_to_be_increasing": _says("are lower than the row before"),
    "expect_column_values_to_be_decreasing": _says("are higher than the row before"),
    "expect_column_pair_values_a_to_be_greater_than_b": lambda k, _: (
        f"where {k.get('column_A')} is {'below' if k.get('or_equal') else 'not above'} {k.get('column_B')}"
    ),
    "expect_column_pair_values_to_be_equal": lambda k, _: f"where {k.get('column_A')} is not {k.get('column_B')}",
    "expect_multicolumn_sum_to_equal": _with("whose sum is not", "sum_total"),
}


def _mostly(kwargs: Arguments) -> str:
    mostly = kwargs.get("mostly")
    return "" if mostly is None or mostly == 1 else f" (at most {1 - mostly:.6g} of them may)"


def _wanted(kwargs: Arguments) -> str:
    if kwargs.get("min_value") is not None or kwargs.get("max_value") is not None:
        return f"in {interval(kwargs)}"
    for name in ("value", "value_set", "type_", "type_list", "threshold"):
        if name in kwargs:
            return f"{'one of ' if isinstance(kwargs[name], list) else ''}{show(kwargs[name])}"
    return "as the contract says"


def _position(kwargs: Arguments) -> str:
    index = kwargs.get("column_index")
    return "" if index is None else f" at position {index}"


def _columns(kwargs: Arguments, details: object) -> str:
    mismatched = details.get("mismatched") if isinstance(details, dict) else None
    if isinstance(mismatched, dict):
        parts = [f"{word} {show(mismatched[word])}" for word in ("missing", "unexpected") if mismatched.get(word)]
        return f"columns differ: {'; '.join(parts)}"
    return f"columns are not {show(kwargs.get('column_list') or kwargs.get('column_set') or [])} in this order"
