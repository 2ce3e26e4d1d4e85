"""Numbers and category codes of one cell or of a column, refusing what a model must never silently read.

A column of bools is one of numbers: true is 1, false is 0. Bools among numbers are refused: they are a mistake.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from capstan_formats.instants import BadValueError, type_name

NAN = math.nan
INFINITE = "infinity is not a number a model can read"
TOO_LARGE = "integer too large for a 64-bit float"


def number(value: Any) -> float:
    """One numeric cell as a float; None and NaN give NaN, a bool 0 or 1. BadValueError for strings, infinity."""
    if type(value) is float or type(value) is int or type(value) is bool:
        try:
            result = float(value)
        except OverflowError:
            raise BadValueError(TOO_LARGE) from None
    elif value is None:
        return NAN
    elif isinstance(value, (np.floating, np.integer, np.bool_)):
        result = float(value)
    else:
        raise BadValueError(f"a number is needed, not {type_name(value)}")
    if result - result != 0.0 and result == result:
        raise BadValueError(INFINITE)
    return result


def numbers(values: Sequence[Any] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A numeric column as float64, under the rules of `number`. BadValueError for bools among numbers, too."""
    result = as_floats(values)
    infinite = np.isinf(result)
    if infinite.any():
        raise BadValueError(INFINITE, int(infinite.argmax()))
    return result


def as_floats(values: Sequence[Any] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """`numbers` without the check for infinity; an array of float64 comes back as it is."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind in "fiub":
            return values.astype(np.float64, copy=False)
        cells: Sequence[Any] = values.tolist()
    else:
        cells = values
    if not set(map(type, cells)) <= {float, int, type(None)}:
        return _numbers_one_by_one(cells)
    try:
        # Numpy reads None as NaN where the type is given.
        return np.array(cells, dtype=np.float64)
    except OverflowError:
        return _numbers_one_by_one(cells)


def category(codes: Mapping[Any, float]) -> Callable[[Any], float]:
    """A function from one cell to its code; unknown words, None and NaN give NaN. BadValueError for another type."""
    word_type = _word_type(codes)
    get = codes.get

    def code(value: Any) -> float:
        if type(value) is word_type:
            return get(value, NAN)
        return _odd_word(value, word_type, codes)

    return code


def categories(values: Sequence[Any] | npt.NDArray[Any], codes: Mapping[Any, float]) -> npt.NDArray[np.float64]:
    """A column of words as float64 codes, under the rules of `category`."""
    cells: Sequence[Any] = values.tolist() if isinstance(values, np.ndarray) else values
    word_type = _word_type(codes)
    if not set(map(type, cells)) <= {word_type, type(None)}:
        code = category(codes)
        return np.array([_at(row, code, value) for row, value in enumerate(cells)], dtype=np.float64)
    get = codes.get
    return np.array([get(value, NAN) for value in cells], dtype=np.float64)


def _word_type(codes: Mapping[Any, float]) -> type:
    return type(next(iter(codes))) if codes else str


def _odd_word(value: Any, word_type: type, codes: Mapping[Any, float]) -> float:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NAN
    if isinstance(value, (np.str_, np.integer)) and isinstance(value.item(), word_type):
        return codes.get(value.item(), NAN)
    raise BadValueError(f"{'a string' if word_type is str else 'an integer'} is needed, not {type_name(value)}")


def _numbers_one_by_one(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    flags = [isinstance(value, (bool, np.bool_)) for value in values]
    if any(flags) and any(
        not flag and value is not None and value == value for flag, value in zip(flags, values, strict=True)
    ):
        raise BadValueError("a number is needed, not bool: the column has both", flags.index(True))
    return np.array([_at(row, number, value) for row, value in enumerate(values)], dtype=np.float64)


def _at(row: int, convert: Callable[[Any], float], value: Any) -> float:
    try:
        return convert(value)
    except BadValueError as error:
        raise BadValueError(error.rule, row) from None
